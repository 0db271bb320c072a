"""A random order of very many numbers that is never held in memory. NumPy.

A permutation of the smallest power of four that is large enough, by a Feistel network with a random
function of two rounds' keys in each round (Luby & Rackoff 1988: four rounds); a number that falls
outside is permuted again until it does not ("cycle walking", Black & Rogaway 2002).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_ROUNDS = 4
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class LazyPermutation:
    """The numbers from 0 to ``count - 1``, each once, in an order that follows from the seed."""

    def __init__(self, count: int, seed: Sequence[int]) -> None:
        self._count = count
        self._half = max(1, ((count - 1).bit_length() + 1) // 2)
        self._keys = np.random.default_rng(seed).integers(0, 2**64, _ROUNDS, np.uint64)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, places: slice) -> npt.NDArray[np.int64]:
        """Returns the numbers at a run of places, one-dimensional."""
        start, stop, step = places.indices(self._count)
        numbers = self._permuted(np.arange(start, stop, step, dtype=np.uint64))
        while (outside := np.flatnonzero(numbers >= self._count)).size:
            numbers[outside] = self._permuted(numbers[outside])
        return numbers.astype(np.int64)

    def _permuted(self, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        half = np.uint64(self._half)
        mask = np.uint64((1 << self._half) - 1)
        left, right = numbers >> half, numbers & mask
        for key in self._keys:
            left, right = right, left ^ (_mixed(right + key) & mask)
        return (left << half) | right


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Returns numbers that look random, modulo 2**64 (after Steele, Lea & Flood 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _MULTIPLIER
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
