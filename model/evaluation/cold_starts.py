"""Measures whether a network recovers from a cold start at any place of a text. PyTorch.

Every prompt starts from the zero state, but training carries the state through the text. From a
zero state, a network can reach a saturated state that it never leaves. Therefore the network is
started cold at many places of a text. Its later losses are compared with the losses of the same
characters when the state is carried from the beginning of the text.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.data.batches import Ids
from model.evaluation.scoring import cold_losses, require_characters
from model.network.character_network import CharacterNetwork

MAX_SHUFFLED_STARTS = 1 << 22
"""Maximum number of possible places that are shuffled. Of more, a few are drawn without a list."""
CHARACTERS_PER_START = 384
"""Characters read from each place."""
JUDGED_CHARACTERS = 128
"""Number of final characters whose loss decides whether a start is lost."""
STARTS_PER_BATCH = 125
"""Places in one forward pass."""
LOST = 0.5
"""A place is lost if its loss is more than this many nats per character above the carried state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStarts:
    """The results of cold starts at many places."""

    places: int
    lost: int
    """Places whose loss stayed more than half a nat per character above the carried state."""
    excess: float
    """Mean loss above the carried state over the judged characters, nats per character."""
    worst_excess: float
    """Loss of the worst place above the carried state, nats per character."""
    worst_nats_per_character: float
    """Highest loss of a place, not relative to the carried state."""


def cold_starts(
    network: CharacterNetwork,
    ids: Ids,
    carried: npt.NDArray[np.float32],
    *,
    places: int = 1000,
    seed: int = 0,
) -> Generator[float, None, ColdStarts]:
    """Starts cold at random places of a text and returns how well the network recovers.

    Args:
        network: the network.
        ids: the text, one-dimensional.
        carried: nats of each character but the first, as `evaluation.stateful` stores them.
        places: number of places. All are different, so a short text has fewer.
        seed: seed of the choice of places.

    Yields:
        The completed fraction, 0 to 1.

    Raises:
        ModelError: the text has fewer than two characters.
    """
    require_characters(ids, 2)
    length = min(CHARACTERS_PER_START, len(ids) - 1)
    tail = max(1, length * JUDGED_CHARACTERS // CHARACTERS_PER_START)
    candidates = len(ids) - length
    random = np.random.default_rng(seed)
    if candidates <= MAX_SHUFFLED_STARTS:
        starts = random.permutation(candidates)[:places]
    else:
        starts = random.choice(candidates, places, replace=False)
    cold, warm = np.zeros(len(starts)), np.zeros(len(starts))
    for first in range(0, len(starts), STARTS_PER_BATCH):
        chosen = starts[first : first + STARTS_PER_BATCH]
        rows = [ids[start : start + length + 1] for start in chosen]
        cold[first : first + STARTS_PER_BATCH] = cold_losses(network, rows)[-tail:].mean(0)
        ends = [carried[start + length - tail : start + length] for start in chosen]
        warm[first : first + STARTS_PER_BATCH] = np.mean(ends, axis=1)
        yield min(1.0, (first + STARTS_PER_BATCH) / len(starts))
    excess = cold - warm
    return ColdStarts(
        places=len(starts),
        # Not `excess > LOST`, so that NaN counts as lost.
        lost=int(np.count_nonzero(~(excess <= LOST))),
        excess=float(excess.mean()),
        worst_excess=float(excess.max()),
        worst_nats_per_character=float(cold.max()),
    )
