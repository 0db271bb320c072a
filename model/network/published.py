"""What a trainer hands to a sampler: frozen weights, and how to sample from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from corpus import Vocabulary
from model.network.snapshot import WeightSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWeights:
    """Weights that a sampler uses from its next character on."""

    snapshot: WeightSnapshot
    vocabulary: Vocabulary
    window: int | None = None
    """Characters of context, each time from a cold start (see `CharacterStream`); None carries the
    state."""
    best: bool = False
    """Whether these weights have the lowest validation loss, at the end of training."""
    kept_as: Literal["best", "epoch"] | None = None
    """For a lane of the race: weights of the lowest validation loss so far, or after an epoch. None
    for live weights, which the text is written with."""
    epoch: int = 0
    """Epoch that these weights were kept after; 0 for live weights."""
    nats_per_character: float | None = None
    """Validation loss of kept weights; None if they were not validated."""
