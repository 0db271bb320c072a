"""Which panes stand above the text: what the reader asked for, as far as the width allows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Pane:
    """A pane that can be switched on and off."""

    id: str
    digit: str
    name: str
    columns: int
    """Fewest that it needs, frame included."""
    tooltip: str


PANES: Final = (
    Pane(id="chart", digit="1", name="Training", columns=40, tooltip="curves of the training"),
    Pane(id="run", digit="2", name="Run", columns=32, tooltip="figures of the run"),
    Pane(
        id="sampling",
        digit="3",
        name="Sampling",
        columns=36,
        tooltip="what the next character is drawn from",
    ),
    Pane(
        id="race",
        digit="4",
        name="Race",
        columns=60,
        tooltip="four temperatures write side by side",
    ),
    Pane(
        id="growth",
        digit="5",
        name="Growing up",
        columns=44,
        tooltip="the samples after each epoch",
    ),
    Pane(id="events", digit="6", name="Events", columns=34, tooltip="what happened, and when"),
)
PANE_IDS: Final = tuple(pane.id for pane in PANES)
DEFAULT_PANES: Final = ("run", "chart")
"""Those wanted at the start; where they do not all fit, later ones go first."""


def on_screen(wanted: Sequence[str], columns: int) -> tuple[str, ...]:
    """Returns the panes that fit, those wanted last first; in the order of the digits."""
    chosen: list[str] = []
    left = columns
    for name in reversed(wanted):
        needed = next(pane.columns for pane in PANES if pane.id == name)
        if needed <= left or not chosen:
            chosen.append(name)
            left -= needed
    return tuple(name for name in PANE_IDS if name in chosen)


def toggled(wanted: Sequence[str], name: str, columns: int) -> tuple[str, ...]:
    """Returns what is wanted after a pane's key: one on the screen goes, any other comes."""
    rest = tuple(other for other in wanted if other != name)
    return rest if name in on_screen(wanted, columns) else (*rest, name)
