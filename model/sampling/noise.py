"""Gumbel noise for drawing characters, drawn in blocks ahead. NumPy.

One row per character of a text. A word of the generator is computed from its number alone
(SplitMix64, Steele, Lea & Flood 2014), so the row of any character can be had without those before
it: a text can be taken up at any place. ``model.kernels.gumbel`` draws the same in compiled code.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from model.kernels.splitmix import BLOCK, FACTORS, LARGEST_UNIFORM, SHIFTS, STRIDE, UNIFORM_STEP

_CYCLE: Final = 2**64

Words = npt.NDArray[np.uint64]


class GumbelNoise:
    """Rows of independent standard Gumbel numbers, the same ones for the same seed."""

    def __init__(self, seed: int, width: int) -> None:
        """Draws nothing yet.

        Args:
            seed: below 2**64.
            width: V, numbers in a row.
        """
        self._origin = int(mixed(np.array([seed], np.uint64))[0])
        self._width = width
        self._number = -1
        self._block: npt.NDArray[np.float32] = np.empty((0, width), np.float32)

    def row(self, index: int) -> npt.NDArray[np.float32]:
        """Returns the noise [V] of a text's character number ``index``; do not change it."""
        number, place = divmod(index, BLOCK)
        if number != self._number:
            self._block = self.block(number)
            self._number = number
        row: npt.NDArray[np.float32] = self._block[place]
        return row

    def start(self, number: int) -> int:
        """Returns the place on the cycle of the first word of a block, below 2**64."""
        words = number * BLOCK * self._width // 2
        return (self._origin + words * STRIDE) % _CYCLE

    def block(self, number: int) -> npt.NDArray[np.float32]:
        """Returns rows ``number * BLOCK`` and those after it, [BLOCK, V]."""
        words = np.arange(BLOCK * self._width // 2, dtype=np.uint64)
        words *= np.uint64(STRIDE)
        words += np.uint64(self.start(number))
        return gumbel(mixed(words).view(np.uint32).reshape(BLOCK, self._width))


def gumbel(bits: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
    """Returns ``-log(-log(1 - p))`` of the probabilities that random bits stand for.

    Small waits decide which character is drawn: they are told apart to the last of the 32 bits.
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
    """Returns SplitMix64's output for places on its cycle, in their place."""
    for shift, factor in zip(SHIFTS, (*FACTORS, 1), strict=True):
        words ^= words >> np.uint64(shift)
        words *= np.uint64(factor)
    return words
