"""Dialogs that ask for a line of text: a temperature, or words to find."""

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


class TemperatureEntry(Dialog[float | None]):
    """Asks for a temperature."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self._temperature = temperature
        self._note = Static(Content(_RANGE), classes="dialog-note")

    def compose(self) -> ComposeResult:
        """Shows the title, the field and a note."""
        with Vertical(classes="dialog"):
            yield Static(Content("Temperature"), classes="dialog-title")
            yield SafeInput(f"{self._temperature:.2f}", select_on_focus=True, max_length=12)
            yield self._note

    @on(Input.Changed)
    def changed(self, event: Input.Changed) -> None:
        """Shows at once why the typed value is invalid."""
        _, note = parse_temperature(event.value)
        self._say(note or _RANGE, wrong=note is not None)

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        """Closes with a valid value; stays open with an invalid one."""
        value, note = parse_temperature(event.value)
        if value is None:
            self._say(note or _RANGE, wrong=True)
        else:
            self.dismiss(value)

    def _say(self, words: str, *, wrong: bool) -> None:
        """Shows a sentence below the field."""
        self._note.update(Content(words))
        self._note.set_class(wrong, "-wrong")


_RANGE = f"0 (greedy) to {MAX_TEMPERATURE:g} · Enter sets · Esc leaves"


def parse_temperature(text: str) -> tuple[float | None, str | None]:
    """Returns the typed temperature, or a sentence on why it is invalid."""
    typed = text.strip().replace(",", ".")
    try:
        value = float(typed)
    except ValueError:
        shown = one_line(text, 20)
        return None, f"“{shown}” is not a number" if typed else "type a number"
    if not math.isfinite(value) or not 0 <= value <= MAX_TEMPERATURE:
        return None, f"{value:g} is not between 0 and {MAX_TEMPERATURE:g}"
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
            note = "case is ignored · n next · N back"
            yield Static(Content(note), classes="dialog-note")

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        """Closes with the words."""
        self.dismiss(event.value)
