"""A cursor in the written text: the other candidates at each character, and forks to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size, split_text
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from model.events import Candidate, CharacterWritten
from tui.sanitise import drawn
from tui.screens.dialog import Dialog
from tui.terminal.deferred import after_refresh
from tui.view.format import bar, percent
from tui.widgets.painted import Painted, Part, Row
from tui.widgets.symbols import padded_label, symbol_label

if TYPE_CHECKING:
    from textual.app import ComposeResult

Fork = tuple[int, str]
"""How many characters to remove, and which character to write instead."""

_BAR_CELLS = 24
_LABEL_CELLS = 4


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

    def __init__(self, written: Sequence[CharacterWritten], *, ascii_only: bool) -> None:
        """Starts at the newest character.

        Args:
            written: the text, not empty.
            ascii_only: draw with ASCII only.
        """
        super().__init__()
        self._written = tuple(written)
        self._ascii_only = ascii_only
        self.place = len(self._written) - 1
        """Index of the character under the cursor."""
        self.choice = 0
        """Index among its candidates."""
        self.page = AlternativesPage(self)

    def compose(self) -> ComposeResult:
        """Shows the text around the cursor and the candidates."""
        with Vertical(classes="dialog -wide-dialog") as dialog:
            dialog.border_title = "Alternatives"
            dialog.border_subtitle = "arrows move, Enter forks, Esc leaves"
            yield self.page

    def on_resize(self) -> None:
        """Draws for the new size."""
        after_refresh(self, self._draw)

    def rows(self, width: int) -> list[Row]:
        """Returns the page."""
        event = self._written[self.place]
        back = len(self._written) - self.place
        head: Row = (
            (f"{back} back", "strong"),
            ("  written ", "label"),
            (symbol_label(event.character, ascii_only=self._ascii_only), "accent"),
            (f" at {percent(event.probability)}", "label"),
        )
        rows = [self._text_row(width), (), head]
        cells = max(4, min(_BAR_CELLS, width - _LABEL_CELLS - 18))
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
        return rows

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates at the cursor; the written character is always one of them."""
        event = self._written[self.place]
        if any(item.character == event.character for item in event.candidates):
            return event.candidates
        written = Candidate(character=event.character, probability=event.probability)
        return (*event.candidates, written)

    def action_move(self, by: int) -> None:
        """Moves the cursor."""
        self.place = min(len(self._written) - 1, max(0, self.place + by))
        self.choice = 0
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
            self.dismiss((len(self._written) - self.place, character))

    def action_leave(self) -> None:
        """Closes without a fork."""
        self.dismiss(None)

    def _text_row(self, width: int) -> Row:
        """Returns the text around the cursor in one line."""
        half = max(4, (width - 4) // 2)
        before = self._line(self._written[max(0, self.place - half) : self.place])
        after = self._line(self._written[self.place + 1 : self.place + 1 + half])
        if (excess := cell_len(before) - half) > 0:
            before = split_text(before, excess)[1]
        after = set_cell_size(after, min(half, cell_len(after)))
        here = symbol_label(self._written[self.place].character, ascii_only=self._ascii_only)
        brackets: tuple[Part, Part] = (("[", "key"), ("]", "key"))
        gap = " " * max(0, half - cell_len(before))
        return ((gap + before, "value"), brackets[0], (here, "key"), brackets[1], (after, "label"))

    def _line(self, written: Sequence[CharacterWritten]) -> str:
        sign = "|" if self._ascii_only else "⏎"
        text = "".join(event.character for event in written)
        return drawn(text.replace("\n", sign))

    def _draw(self) -> None:
        self.page.show()


class AlternativesPage(Painted):
    """The rows of the screen."""

    def __init__(self, owner: AlternativesScreen) -> None:
        super().__init__()
        self._owner = owner

    def show(self) -> None:
        """Takes the height that the rows need and draws them."""
        rows = self._owner.rows(max(20, self.size.width))
        self.styles.height = max(12, len(rows))
        self.present(rows)
