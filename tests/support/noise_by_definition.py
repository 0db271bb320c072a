"""Gumbel noise as it is defined, number by number in integers: what tests hold ours to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

STRIDE = 0x9E3779B97F4A7C15
CYCLE = 2**64
MARGIN = 1e-4
"""Sums that are nearer to each other may come out in another order."""


def splitmix64(place: int) -> int:
    """The output function of SplitMix64, as its authors print it."""
    word = ((place ^ (place >> 30)) * 0xBF58476D1CE4E5B9) % CYCLE
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) % CYCLE
    return word ^ (word >> 31)


def noise_row(seed: int, width: int, index: int) -> npt.NDArray[np.float64]:
    """The noise of character number `index`: numbers from `index * width` on, two of each word."""
    row = np.empty(width)
    for v in range(width):
        word, half = divmod(index * width + v, 2)
        bits = splitmix64((splitmix64(seed) + word * STRIDE) % CYCLE) >> 32 * half & 0xFFFFFFFF
        row[v] = -math.log(-math.log1p(-(bits + 0.5) / 2**32))
    return row


def assert_drawn(
    ids: Sequence[int],
    logits: npt.NDArray[np.float64],
    *,
    seed: int,
    temperature: float = 1.0,
    first: int = 0,
) -> None:
    """Fails unless each id is drawn with the noise of its own place.

    Args:
        ids: of a text, from its character number `first` on.
        logits: [V] of all its characters.
        seed: of its noise.
        temperature: not 0.
        first: see `ids`.
    """
    unsure = 0
    for index, found in enumerate(ids, first):
        sums = logits / temperature + noise_row(seed, len(logits), index)
        if np.ptp(np.sort(sums)[-2:]) < MARGIN:
            unsure += 1
        else:
            assert found == int(sums.argmax()), f"character {index} has another character's noise"
    assert unsure <= len(ids) // 50
