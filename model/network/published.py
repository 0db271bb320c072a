"""What a trainer hands to a sampler: frozen weights, and how to sample from them."""

from __future__ import annotations

from dataclasses import dataclass

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
