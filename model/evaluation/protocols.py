"""Scores a text with a saved network by each requested protocol. PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from model.data.batches import Ids
from model.evaluation import scoring as evaluation
from model.evaluation.cold_starts import ColdStarts, cold_starts
from model.evaluation.dynamic import dynamic
from model.network.make import make_network
from model.runs.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Nats per character by several protocols. Scores of different protocols are not comparable."""

    characters: int
    """Characters scored by the stateful protocol: all but the first."""
    nats_per_character: float
    """Loss of one pass over the text with the state carried from beginning to end."""
    windowed_nats_per_character: float
    """Mean loss over windows of 256 characters, each from a cold start."""
    cold_starts: ColdStarts | None
    """Results of cold starts; None if they were not requested."""
    dynamic_nats_per_character: float | None
    """Loss of dynamic evaluation, which trains on the text; None if it was not requested."""
    losses: npt.NDArray[np.float32] | None
    """Nats of each character that the stateful protocol scored; None if they were not requested."""


def evaluate(
    checkpoint: Checkpoint,
    ids: Ids,
    *,
    cold_places: int = 0,
    dynamically: bool = False,
    keeps_losses: bool = False,
) -> Scores:
    """Scores a text in float32 on the CPU.

    Args:
        checkpoint: the saved network; its better weights are used.
        ids: the text, one-dimensional.
        cold_places: number of cold starts; 0 omits them.
        dynamically: whether to add dynamic evaluation, which takes about ten times as long as the
            rest.
        keeps_losses: whether to return the loss of each character.

    Raises:
        ModelError: the text has fewer than two characters.
    """
    network = make_network(checkpoint.metadata.model, len(checkpoint.metadata.vocabulary))
    network.load_arrays(checkpoint.best_weights())
    torch.set_flush_denormal(True)
    losses = None
    if cold_places or keeps_losses:  # they take four bytes a character
        losses = np.zeros(max(0, len(ids) - 1), dtype=np.float32)
    carried = evaluation.run_to_end(evaluation.stateful(network, ids, losses=losses))
    cold = None
    if losses is not None and cold_places:
        cold = evaluation.run_to_end(cold_starts(network, ids, losses, places=cold_places))
    return Scores(
        characters=len(ids) - 1,
        nats_per_character=carried,
        windowed_nats_per_character=evaluation.run_to_end(evaluation.windowed(network, ids)),
        cold_starts=cold,
        dynamic_nats_per_character=(
            evaluation.run_to_end(dynamic(network, ids)) if dynamically else None
        ),
        losses=losses if keeps_losses else None,
    )
