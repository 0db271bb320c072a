"""Does a trained network find its feet wherever it is started? PyTorch.

A state carried through all of training says nothing about the zero state, which is what every
prompt begins with: a network can be led into a saturated state that it never leaves. So it is
started cold at many places of a text, and what it pays later is held against what it pays for the
very same characters when its state is carried from the beginning of the text.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.data.batches import Ids
from model.evaluation.scoring import cold_losses, require_characters
from model.network.character_network import CharacterNetwork

MOST_SHUFFLED = 1 << 22
"""Places that are all shuffled to draw some; of more, some are drawn without a list of all."""
LENGTH = 384
"""Characters read from each place."""
TAIL = 128
"""Of them, the last ones, over which a place is judged."""
BATCH = 125
LOST = 0.5
"""Nats per character above the carried state at which a place counts as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStarts:
    """What came of starting cold at many places."""

    places: int
    lost: int
    """Places where the network stayed more than half a nat per character behind."""
    excess: float
    """Mean nats per character above the carried state, over the judged characters."""
    worst_excess: float
    """That of the worst place."""
    worst_nats_per_character: float
    """The highest loss of a place, whatever its characters cost with the state carried."""


def cold_starts(
    network: CharacterNetwork,
    ids: Ids,
    carried: npt.NDArray[np.float32],
    *,
    places: int = 1000,
    seed: int = 0,
) -> Generator[float, None, ColdStarts]:
    """Starts cold at random places of a text.

    Args:
        network: the network.
        ids: the text, one-dimensional.
        carried: nats of each character but the first with the state carried, `evaluation.stateful`.
        places: how many; the same place is not taken twice, so a short text has fewer.
        seed: of the choice of places.

    Yields:
        The done part, 0 to 1.

    Raises:
        ModelError: the text has fewer than two characters.
    """
    require_characters(ids, 2)
    length = min(LENGTH, len(ids) - 1)
    tail = max(1, length * TAIL // LENGTH)
    candidates = len(ids) - length
    random = np.random.default_rng(seed)
    if candidates <= MOST_SHUFFLED:
        starts = random.permutation(candidates)[:places]
    else:
        starts = random.choice(candidates, places, replace=False)
    cold, warm = np.zeros(len(starts)), np.zeros(len(starts))
    for first in range(0, len(starts), BATCH):
        chosen = starts[first : first + BATCH]
        rows = [ids[start : start + length + 1] for start in chosen]
        cold[first : first + BATCH] = cold_losses(network, rows)[-tail:].mean(0)
        ends = [carried[start + length - tail : start + length] for start in chosen]
        warm[first : first + BATCH] = np.mean(ends, axis=1)
        yield min(1.0, (first + BATCH) / len(starts))
    excess = cold - warm
    return ColdStarts(
        places=len(starts),
        # Written so that a loss that is not a number counts as lost.
        lost=int(np.count_nonzero(~(excess <= LOST))),
        excess=float(excess.mean()),
        worst_excess=float(excess.max()),
        worst_nats_per_character=float(cold.max()),
    )
