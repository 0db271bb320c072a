"""Dialogs that ask for a line: a temperature, minutes, or words to find."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Paste
from textual.widgets import Input, Static

from model.config import MAX_TEMPERATURE
from tui.sanitise import one_line, printable
from tui.screens.dialog import Dialog

if TYPE_CHECKING:
    from textual.app import ComposeResult


Range = tuple[float, float]
"""The smallest and the largest value that are allowed."""
MAX_MINUTES = 100_000.0

MAX_ENTRY_CHARACTERS = 10_000
"""Maximum number of characters in a field; a longer text is truncated."""


class SafeInput(Input):
    """An input field that makes pasted text printable and limits its length."""

    def validate_value(self, value: str) -> str:
        """Returns the value, made printable and truncated to the maximum length."""
        return printable(value[:MAX_ENTRY_CHARACTERS])

    def _on_paste(self, event: Paste) -> None:
        """Inserts all pasted lines; Textual's field would keep only the first one."""
        event.prevent_default()
        event.stop()
        lines = event.text.replace("\r\n", "\n").replace("\r", "\n")
        line = self.one_line_of(lines)
        start, end = sorted(self.selection)
        room = (self.max_length or MAX_ENTRY_CHARACTERS) - len(self.value) + (end - start)
        if len(line) > room:
            self.notify(
                "The pasted text was too long: its end was cut off.",
                severity="warning",
                markup=False,
            )
        self.replace(line[: max(0, room)], start, end)

    def one_line_of(self, lines: str) -> str:
        """Returns the lines joined into one."""
        return " ".join(lines.splitlines())


class NumberEntry(Dialog[float | None]):
    """Asks for a number in a range."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]
    TITLE: ClassVar[str]
    RANGE: ClassVar[Range]
    UNIT: ClassVar[str]
    """What the note says of the range."""

    def __init__(self, number: str) -> None:
        super().__init__()
        self._number = number
        self._note = Static(Content(self._hint), classes="dialog-note")

    @property
    def _hint(self) -> str:
        return f"{self.UNIT} · Enter sets · Esc leaves"

    def compose(self) -> ComposeResult:
        """Shows the title, the field and a note."""
        with Vertical(classes="dialog"):
            yield Static(Content(self.TITLE), classes="dialog-title")
            yield SafeInput(self._number, select_on_focus=True, max_length=12)
            yield self._note

    @on(Input.Changed)
    def changed(self, event: Input.Changed) -> None:
        """Shows at once why the typed value is invalid."""
        _, note = parse_number(event.value, self.RANGE)
        self._say(note or self._hint, wrong=note is not None)

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        """Closes with a valid value; stays open with an invalid one."""
        value, note = parse_number(event.value, self.RANGE)
        if value is None:
            self._say(note or self._hint, wrong=True)
        else:
            self.dismiss(value)

    def _say(self, words: str, *, wrong: bool) -> None:
        """Shows a sentence below the field."""
        self._note.update(Content(words))
        self._note.set_class(wrong, "-wrong")


class TemperatureEntry(NumberEntry):
    """Asks for a temperature."""

    TITLE = "Temperature"
    RANGE = (0.0, MAX_TEMPERATURE)
    UNIT = f"0 (greedy) to {MAX_TEMPERATURE:g}"

    def __init__(self, temperature: float) -> None:
        super().__init__(f"{temperature:.2f}")


class MinutesEntry(NumberEntry):
    """Asks how many minutes longer to train."""

    TITLE = "Train longer"
    RANGE = (0.1, MAX_MINUTES)
    UNIT = f"minutes more, from {RANGE[0]:g} to {MAX_MINUTES:g}"

    def __init__(self, minutes: float) -> None:
        super().__init__(f"{minutes:g}")


def parse_number(text: str, limits: Range) -> tuple[float | None, str | None]:
    """Returns the typed number, or a sentence on why it is invalid."""
    typed = text.strip().replace(",", ".")
    try:
        value = float(typed)
    except ValueError:
        shown = one_line(text, 20)
        return None, f"“{shown}” is not a number" if typed else "type a number"
    low, high = limits
    if not math.isfinite(value) or not low <= value <= high:
        return None, f"{value:g} is not between {low:g} and {high:g}"
    return value + 0.0, None


class FindEntry(Dialog[str | None]):
    """Asks for words to find in the text."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def compose(self) -> ComposeResult:
        """Shows the title and the field."""
        with Vertical(classes="dialog"):
            yield Static(Content("Find"), classes="dialog-title")
            yield SafeInput(self._words, select_on_focus=True, max_length=200)
            note = "case is ignored · n older · N newer"
            yield Static(Content(note), classes="dialog-note")

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        """Closes with the words."""
        self.dismiss(event.value)
