"""Scoring a text with a saved network, by every protocol that was asked for. PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from model.data.batches import Ids
from model.evaluation import scoring as evaluation
from model.evaluation.cold_starts import ColdStarts, cold_starts
from model.evaluation.dynamic import dynamic
from model.network.make import make_network
from model.runs.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Nats per character by several protocols; figures of two are not to be compared."""

    characters: int
    """Characters scored by the stateful protocol: all but the first."""
    nats_per_character: float
    """One pass over the text in order, the state carried from its beginning to its end."""
    windowed_nats_per_character: float
    """Mean over windows of 256 characters, each from a cold start."""
    cold_starts: ColdStarts | None
    """None where they were not asked for."""
    dynamic_nats_per_character: float | None
    """Of dynamic evaluation, which learns as it goes; None where it was not asked for."""


def evaluate(
    checkpoint: Checkpoint, ids: Ids, *, cold_places: int = 0, dynamically: bool = False
) -> Scores:
    """Scores a text in float32 on the CPU.

    Args:
        checkpoint: the network, by its better weights.
        ids: the text, one-dimensional.
        cold_places: places at which to start cold; 0: none.
        dynamically: also by dynamic evaluation, which takes some ten times as long as the rest.

    Raises:
        ModelError: the text has fewer than two characters.
    """
    network = make_network(checkpoint.metadata.model, len(checkpoint.metadata.vocabulary))
    network.load_arrays(checkpoint.best_weights())
    torch.set_flush_denormal(True)
    # Four bytes a character: only for what needs each of them.
    losses = np.zeros(max(0, len(ids) - 1), dtype=np.float32) if cold_places else None
    carried = evaluation.run_to_end(evaluation.stateful(network, ids, losses=losses))
    cold = None
    if losses is not None:
        cold = evaluation.run_to_end(cold_starts(network, ids, losses, places=cold_places))
    return Scores(
        characters=len(ids) - 1,
        nats_per_character=carried,
        windowed_nats_per_character=evaluation.run_to_end(evaluation.windowed(network, ids)),
        cold_starts=cold,
        dynamic_nats_per_character=(
            evaluation.run_to_end(dynamic(network, ids)) if dynamically else None
        ),
    )
