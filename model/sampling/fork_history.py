"""Places of a text that can be gone back to: what a fork restores."""

from __future__ import annotations

from dataclasses import dataclass

from model.sampling.stepper import StepperState

HISTORY = 1_000
"""Characters of the past that can be forked from; each keeps a hidden state, 4 kB for LSTM(512)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A place of the text, before its character was read."""

    state: StepperState | None
    recent: tuple[int, ...]
    written: int
    chosen: int


@dataclass(slots=True, kw_only=True)
class _Trunk:
    """The text from before the first fork."""

    places: tuple[_Place, ...]
    now: _Place
    kept: int
    """Characters that no fork has touched."""
