"""Both protocols of scoring a text with a saved network. PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from model import evaluation
from model.batches import Ids
from model.checkpoint import Checkpoint
from model.network import CharacterLSTM


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Nats per character by two protocols; a figure of one is not to be compared with the other."""

    characters: int
    """Characters scored by the stateful protocol: all but the first."""
    nats_per_character: float
    """One pass over the text in order, the state carried from its beginning to its end."""
    windowed_nats_per_character: float
    """Mean over windows of 256 characters, each from a cold start."""


def score(checkpoint: Checkpoint, ids: Ids) -> Scores:
    """Scores a text in float32 on the CPU.

    Raises:
        ModelError: the text has fewer than two characters.
    """
    network = CharacterLSTM(checkpoint.metadata.model, len(checkpoint.metadata.vocabulary))
    network.load_arrays(checkpoint.best_weights())
    torch.set_flush_denormal(True)
    return Scores(
        characters=len(ids) - 1,
        nats_per_character=evaluation.run_to_end(evaluation.stateful(network, ids)),
        windowed_nats_per_character=evaluation.run_to_end(evaluation.windowed(network, ids)),
    )
