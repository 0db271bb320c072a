"""Which panes are visible: what the user asked for, as far as the terminal has room. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pane:
    """A pane that can be switched on and off."""

    id: str
    digit: str
    name: str
    columns: int
    """Minimum width in cells, frame included."""
    tooltip: str


PANES: Final = (
    Pane(id="chart", digit="1", name="Training", columns=40, tooltip="curves of the training"),
    Pane(id="run", digit="2", name="Run", columns=32, tooltip="figures of the run"),
    Pane(
        id="sampling",
        digit="3",
        name="Sampling",
        columns=40,
        tooltip="what the next character is drawn from",
    ),
    Pane(
        id="race",
        digit="4",
        name="Race",
        columns=60,
        tooltip="four temperatures, or models (L), side by side",
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
"""Panes that are wanted at the start. If they do not all fit, the last one stays longest."""
ROOMY_PANES: Final = ("growth", "sampling", *DEFAULT_PANES)
"""Panes of the start in a terminal of at least `ROOMY`."""
ROOMY: Final = (160, 50)
"""Columns and rows from which the text keeps most of the screen beside four panes."""
MIN_ROWS_FOR_BOTH: Final = 18
"""With fewer rows, one pane replaces the text instead of standing above it."""


def on_screen(wanted: Sequence[str], columns: int) -> tuple[str, ...]:
    """Returns the panes that fit into the width, ordered by digit; the last wanted wins room."""
    chosen: list[str] = []
    left = columns
    for name in reversed(wanted):
        needed = next(pane.columns for pane in PANES if pane.id == name)
        if needed <= left or not chosen:
            chosen.append(name)
            left -= needed
    return tuple(name for name in PANE_IDS if name in chosen)


def toggled(wanted: Sequence[str], name: str, columns: int) -> tuple[str, ...]:
    """Returns the wanted panes after a pane's key: hides a visible pane, shows any other."""
    rest = tuple(other for other in wanted if other != name)
    return rest if name in on_screen(wanted, columns) else (*rest, name)


PaneState = Literal["open", "hidden", "closed"]
"""Of a pane; a hidden one is wanted, but has no room. Its digit closes an open pane, and opens any
other."""


def panes_of_the_start(room: tuple[int, int], *, most: bool = True) -> tuple[str, ...]:
    """Returns the panes that are wanted before any key.

    Args:
        room: columns and rows of the terminal.
        most: whether a large terminal opens with more panes.
    """
    is_roomy = room[0] >= ROOMY[0] and room[1] >= ROOMY[1]
    return ROOMY_PANES if is_roomy and most else DEFAULT_PANES


class PaneArrangement:
    """The panes that the user wants, the active one, and the room that the terminal gives."""

    def __init__(self, *, most: bool = True) -> None:
        """Wants the panes of the start; see `panes_of_the_start` for ``most``."""
        self._most = most
        self._chosen = False
        """Whether the user has opened or closed a pane."""
        self.wanted: tuple[str, ...] = DEFAULT_PANES
        """Ids of panes, the one asked for last at the end."""
        self.active = "chart"
        """Id of the pane that the arrow keys act on."""
        self.maximised = False
        self._room = (80, 24)
        self._alone = False
        """Whether a pane replaces the text on a terminal with few rows."""

    @property
    def is_low(self) -> bool:
        """Whether the terminal has too few rows for a pane above the text."""
        return self._room[1] < MIN_ROWS_FOR_BOTH

    @property
    def shown(self) -> tuple[str, ...]:
        """Ids of the visible panes, ordered by digit."""
        if self.is_low:
            return (self.active,) if self._alone else ()
        return on_screen(self.wanted, self._room[0])

    def state_of(self, name: str) -> PaneState:
        """Tells whether a pane is visible, and if not, whether it only lacks room."""
        if name in self.shown:
            return "open"
        return "hidden" if name in self.wanted else "closed"

    @property
    def is_active_shown(self) -> bool:
        """Whether the active pane is visible."""
        return self.active in self.shown

    def fit(self, room: tuple[int, int]) -> None:
        """Takes the columns and rows of the terminal."""
        self._room = room
        if not self._chosen:
            self.wanted = panes_of_the_start(room, most=self._most)
        self._choose_a_visible_pane()

    def toggle(self, name: str) -> None:
        """Shows a pane, or hides it if it is visible."""
        self._chosen = True
        if self.is_low:
            self._alone = not (self._alone and self.active == name)
            self.wanted = (*(other for other in self.wanted if other != name), name)
            self.active = name
        else:
            self.wanted = toggled(self.wanted, name, self._room[0])
            if name in self.wanted:
                self.active = name
        self._choose_a_visible_pane()

    def reset(self) -> None:
        """Goes back to the panes of the start."""
        self._chosen = False
        self.wanted = panes_of_the_start(self._room, most=self._most)
        self.active = "chart"
        self.maximised = self._alone = False
        self._choose_a_visible_pane()

    def maximise(self) -> None:
        """Gives the panes all rows that the text can spare, or undoes that."""
        if self.is_low:
            self._alone = not self._alone
        else:
            self.maximised = not self.maximised
        self._choose_a_visible_pane()

    def choose_next(self) -> None:
        """Makes the next visible pane the active one."""
        shown = self.shown
        if shown:
            self.active = shown[(shown.index(self.active) + 1) % len(shown)]

    def _choose_a_visible_pane(self) -> None:
        shown = self.shown
        if shown and self.active not in shown:
            self.active = shown[0]
