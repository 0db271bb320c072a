"""Past positions of a text that a fork can restore."""

from __future__ import annotations

from dataclasses import dataclass

from model.constraints.line_rules import LinePlace
from model.steppers.stepper import StepperState

HISTORY = 1_000
"""Past characters that can be forked from; each keeps the carried state, 4 kB for LSTM(512)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A position of the text, before its character was read."""

    state: StepperState | None
    """None with a window, where ``recent`` is all that counts."""
    recent: tuple[int, ...]
    """The last ids, as many as the window has."""
    written: int
    """Characters before this position."""
    chosen: int
    """The id of its character."""
    line: LinePlace
    """Where its line stands in a poem."""


@dataclass(slots=True, kw_only=True)
class Trunk:
    """The text as it was before the first fork."""

    places: tuple[Position, ...]
    """Its positions, the oldest first."""
    now: Position
    """The position after its last character."""
    kept: int
    """Characters at its beginning that no fork replaced."""
