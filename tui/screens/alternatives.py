"""The other candidates at each character of the text, and forks to them.

The cursor stands in the text itself, and the dialog at the other end of the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical

from model.events import Candidate, CharacterWritten
from tui.screens.dialog import Dialog
from tui.terminal.deferred import after_refresh
from tui.view.format import bar, percent
from tui.widgets.painted import Painted, Row
from tui.widgets.symbols import padded_label, symbol_label

if TYPE_CHECKING:
    from textual.app import ComposeResult

LookAt = Callable[[int | None], int]
"""Marks a character of the text, 1 for the last one, and returns its row on the screen; None ends
that."""
Fork = tuple[int, str]
"""How many characters to remove, and which character to write instead."""

_BAR_CELLS = 24
_LABEL_CELLS = 4
_FRAME_ROWS = 2
_MIN_COLUMNS_FOR_KEYS = 50


class AlternativesScreen(Dialog[Fork | None]):
    """Left and right move, up and down choose, Enter forks, Escape closes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Earlier"),
        Binding("right", "move(1)", "Later"),
        Binding("ctrl+left,pageup", "move(-20)", "Much earlier"),
        Binding("ctrl+right,pagedown", "move(20)", "Much later"),
        Binding("home", "move(-100000)", "Earliest"),
        Binding("end", "move(100000)", "Latest"),
        Binding("up", "choose(-1)", "Up"),
        Binding("down", "choose(1)", "Down"),
        Binding("enter", "fork", "Fork"),
        Binding("escape,q,a", "leave", "Close"),
    ]

    def __init__(
        self, written: Sequence[CharacterWritten], look_at: LookAt, *, ascii_only: bool
    ) -> None:
        """Starts at the newest character.

        Args:
            written: the text, not empty.
            look_at: marks a character in the text.
            ascii_only: draw with ASCII only.
        """
        super().__init__()
        self._written = tuple(written)
        self._look_at = look_at
        self._ascii_only = ascii_only
        self.place = len(self._written) - 1
        """Index of the character under the cursor."""
        self.choice = self._choice_of_the_text
        """Index among its candidates."""
        self.page = AlternativesPage(self)

    def compose(self) -> ComposeResult:
        """Shows the candidates."""
        with Vertical(classes="dialog -wide-dialog -candidates") as dialog:
            dialog.border_title = "Alternatives"
            wide = self.app.size.width >= _MIN_COLUMNS_FOR_KEYS
            keys = "Enter forks, Esc leaves"
            dialog.border_subtitle = f"arrows move, {keys}" if wide else keys
            yield self.page

    def on_resize(self) -> None:
        """Draws for the new size."""
        after_refresh(self, self._draw)

    def rows(self, width: int, height: int) -> list[Row]:
        """Returns the character and the candidates around the chosen one, as many as fit."""
        event = self._written[self.place]
        head: Row = (
            (f"{self.back} back", "strong"),
            ("  written ", "label"),
            (symbol_label(event.character, ascii_only=self._ascii_only), "accent"),
            (f" at {percent(event.probability)}", "label"),
        )
        cells = max(4, min(_BAR_CELLS, width - _LABEL_CELLS - 18))
        rows = []
        for number, candidate in enumerate(self.candidates):
            chosen = number == self.choice
            sign = (">" if self._ascii_only else "▸") if chosen else " "
            label = padded_label(candidate.character, _LABEL_CELLS, ascii_only=self._ascii_only)
            done = bar(candidate.probability, cells, ascii_only=self._ascii_only)[0].ljust(cells)
            note = "  written" if candidate.character == event.character else ""
            rows.append(
                (
                    (f"{sign} {label}", "key" if chosen else "value"),
                    (done, "accent" if chosen else "label"),
                    (f" {percent(candidate.probability):>4}", "value"),
                    (note, "good"),
                )
            )
        room = max(1, height - 1)
        first = min(max(0, self.choice - room // 2), max(0, len(rows) - room))
        return [head, *rows[first : first + room]]

    @property
    def back(self) -> int:
        """How many characters back the cursor is: 1 for the last one."""
        return len(self._written) - self.place

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates at the cursor; the written character is always one of them."""
        event = self._written[self.place]
        if any(item.character == event.character for item in event.candidates):
            return event.candidates
        written = Candidate(character=event.character, probability=event.probability)
        return (*event.candidates, written)

    @property
    def _choice_of_the_text(self) -> int:
        """The candidate that is written; the keys go from there to others."""
        character = self._written[self.place].character
        return [candidate.character for candidate in self.candidates].index(character)

    def action_move(self, by: int) -> None:
        """Moves the cursor."""
        self.place = min(len(self._written) - 1, max(0, self.place + by))
        self.choice = self._choice_of_the_text
        self._draw()

    def action_choose(self, by: int) -> None:
        """Goes to another candidate."""
        self.choice = (self.choice + by) % len(self.candidates)
        self._draw()

    def action_fork(self) -> None:
        """Closes with the candidate; the written character is no fork."""
        character = self.candidates[self.choice].character
        if character == self._written[self.place].character:
            self.dismiss(None)
        else:
            self.dismiss((self.back, character))

    def action_leave(self) -> None:
        """Closes without a fork."""
        self.dismiss(None)

    def on_unmount(self) -> None:
        """Takes the cursor out of the text."""
        self._look_at(None)

    def _draw(self) -> None:
        """Draws the candidates in the half of the screen where the cursor is not."""
        height = self.app.size.height
        self.set_class(self._look_at(self.back) < height // 2, "-below")
        self.page.show(height // 2 - _FRAME_ROWS)


class AlternativesPage(Painted):
    """The rows of the screen."""

    def __init__(self, owner: AlternativesScreen) -> None:
        super().__init__()
        self._owner = owner

    def show(self, height: int) -> None:
        """Takes the height that the rows need, but no more than this, and draws them."""
        rows = self._owner.rows(max(20, self.size.width), height)
        self.styles.height = len(rows)
        self.present(rows)
