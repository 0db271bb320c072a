"""A random permutation of very many numbers that is computed instead of stored. NumPy.

A Feistel network permutes the numbers below the smallest sufficient power of four. It has four
rounds (Luby & Rackoff 1988), each with a random key. A result that is too large is permuted again
until it is in range ("cycle walking", Black & Rogaway 2002).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_ROUNDS = 4
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class LazyPermutation:
    """A permutation of the numbers from 0 to ``count - 1`` that the seed determines."""

    def __init__(self, count: int, seed: Sequence[int]) -> None:
        self._count = count
        self._half = max(1, ((count - 1).bit_length() + 1) // 2)
        self._keys = np.random.default_rng(seed).integers(0, 2**64, _ROUNDS, np.uint64)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, places: slice) -> npt.NDArray[np.int64]:
        """Returns the numbers at a slice of positions as a one-dimensional array."""
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
    """Hashes numbers to 64 bits with a variant of SplitMix64 (Steele, Lea & Flood 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _MULTIPLIER
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
