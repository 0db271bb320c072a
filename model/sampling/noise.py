"""Gumbel noise for drawing characters, in blocks of rows. NumPy.

One row per character of a text. The generator is counter-based (SplitMix64, Steele, Lea & Flood
2014): the row of a character does not need the rows before it, so a text can be resumed anywhere.
``model.kernels.gumbel`` computes the same numbers in compiled code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from model.kernels.splitmix import BLOCK, FACTORS, LARGEST_UNIFORM, SHIFTS, STRIDE, UNIFORM_STEP

_CYCLE: Final = 2**64
"""Number of states of the generator."""

Words = npt.NDArray[np.uint64]


class GumbelNoise:
    """Rows of independent standard Gumbel numbers that depend only on seed and width."""

    def __init__(self, seed: int, width: int) -> None:
        """Draws nothing yet.

        Args:
            seed: 0 to 2**64 - 1.
            width: V, numbers in a row.
        """
        self._origin = int(mixed(np.array([seed], np.uint64))[0])
        self._width = width
        self._block_number = -1
        self._block: npt.NDArray[np.float32] = np.empty((0, width), np.float32)

    def row(self, index: int) -> npt.NDArray[np.float32]:
        """Returns the noise [V] of character ``index`` of a text: a view, not to be changed."""
        number, place = divmod(index, BLOCK)
        if number != self._block_number:
            self._block = self.block(number)
            self._block_number = number
        row: npt.NDArray[np.float32] = self._block[place]
        return row

    def start(self, number: int) -> int:
        """Returns the generator's state for the first word of a block, below 2**64."""
        words = number * BLOCK * self._width // 2
        return (self._origin + words * STRIDE) % _CYCLE

    def of_drafts(self, index: int, count: int) -> Iterator[npt.NDArray[np.float32]]:
        """Yields noise [count, V] for each character of drafts that begin at character ``index``.

        It depends only on the seed, the width and the index.
        """
        size = count * self._width
        start = int(mixed(np.array([(self._origin + index) % _CYCLE], np.uint64))[0])
        while True:
            words = np.arange(-(-size // 2), dtype=np.uint64)
            words *= np.uint64(STRIDE)
            words += np.uint64(start)
            start = (start + len(words) * STRIDE) % _CYCLE
            yield gumbel(mixed(words).view(np.uint32)[:size].reshape(count, self._width))

    def block(self, number: int) -> npt.NDArray[np.float32]:
        """Returns the rows from ``number * BLOCK`` on, [BLOCK, V]."""
        words = np.arange(BLOCK * self._width // 2, dtype=np.uint64)
        words *= np.uint64(STRIDE)
        words += np.uint64(self.start(number))
        return gumbel(mixed(words).view(np.uint32).reshape(BLOCK, self._width))


def gumbel(bits: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
    """Returns standard Gumbel numbers, ``-log(-log(1 - p))``, p uniform in (0, 1).

    The smallest p give the largest noise, which decides the draw. Therefore log1p, which keeps all
    32 bits of a small p, where a float32 of 1 - p would not.

    Args:
        bits: uint32 of any shape; p is bits / 2**32, plus half a unit.
    """
    numbers = bits.astype(np.float32)
    numbers *= np.float32(UNIFORM_STEP)
    numbers += np.float32(UNIFORM_STEP / 2)
    np.minimum(numbers, LARGEST_UNIFORM, out=numbers)
    np.negative(numbers, out=numbers)
    np.log1p(numbers, out=numbers)
    np.negative(numbers, out=numbers)
    np.log(numbers, out=numbers)
    np.negative(numbers, out=numbers)
    return numbers


def mixed(words: Words) -> Words:
    """Replaces states of SplitMix64 by their outputs, in place, and returns them."""
    for shift, factor in zip(SHIFTS, (*FACTORS, 1), strict=True):
        words ^= words >> np.uint64(shift)
        words *= np.uint64(factor)
    return words
