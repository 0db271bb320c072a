"""What a trainer hands to a sampler: frozen weights and what is needed to write with them."""

from __future__ import annotations

from dataclasses import dataclass

from corpus import Vocabulary
from model.network.snapshot import WeightSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Weights to write with from the next character on."""

    snapshot: WeightSnapshot
    vocabulary: Vocabulary
    window: int | None = None
    """Characters of context with a cold start (see ``CharacterStream``); None carries the state."""
    best: bool = False
    """Whether these are the weights with the lowest validation loss, at the end of training."""
