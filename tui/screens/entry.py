"""Dialogs that take a line of text: a temperature, words to find."""

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


LONGEST_ENTRY = 10_000
"""Characters that a field holds; the end of what is longer is cut off."""


class SafeInput(Input):
    """An input that holds printable text of some length only, whatever is pasted into it."""

    def validate_value(self, value: str) -> str:
        """Returns the value as it may be shown."""
        return printable(value[:LONGEST_ENTRY])

    def _on_paste(self, event: Paste) -> None:
        """Takes all that was pasted, of which Textual's own field keeps the first line alone."""
        event.prevent_default()
        event.stop()
        lines = event.text.replace("\r\n", "\n").replace("\r", "\n")
        line = self.one_line_of(lines)
        start, end = sorted(self.selection)
        room = (self.max_length or LONGEST_ENTRY) - len(self.value) + (end - start)
        if len(line) > room:
            self.notify("The end of what was pasted did not fit.", severity="warning", markup=False)
        self.replace(line[: max(0, room)], start, end)

    def one_line_of(self, lines: str) -> str:
        """Returns lines as the one that this field can hold."""
        return " ".join(lines.splitlines())


class TemperatureEntry(Dialog[float | None]):
    """Asks for a temperature."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self._temperature = temperature
        self._note = Static(Content(_RANGE), classes="dialog-note")

    def compose(self) -> ComposeResult:
        """Shows the question, a line to type on and what is wrong with it."""
        with Vertical(classes="dialog"):
            yield Static(Content("Temperature"), classes="dialog-title")
            yield SafeInput(f"{self._temperature:.2f}", select_on_focus=True, max_length=12)
            yield self._note

    @on(Input.Changed)
    def changed(self, event: Input.Changed) -> None:
        """Says at once what is wrong."""
        _, note = parse_temperature(event.value)
        self._say(note or _RANGE, wrong=note is not None)

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        """Closes with a good value, and stays open with a bad one."""
        value, note = parse_temperature(event.value)
        if value is None:
            self._say(note or _RANGE, wrong=True)
        else:
            self.dismiss(value)

    def _say(self, words: str, *, wrong: bool) -> None:
        """Shows a sentence below the line."""
        self._note.update(Content(words))
        self._note.set_class(wrong, "-wrong")


_RANGE = f"0 (greedy) to {MAX_TEMPERATURE:g} · Enter sets · Esc leaves"


def parse_temperature(text: str) -> tuple[float | None, str | None]:
    """Returns the temperature that was typed, or why it is none."""
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
    """Asks for what to find in the text."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def compose(self) -> ComposeResult:
        """Shows a line to type on."""
        with Vertical(classes="dialog"):
            yield Static(Content("Find"), classes="dialog-title")
            yield SafeInput(self._words, select_on_focus=True, max_length=200)
            note = "upper and lower case are alike · n next · N back"
            yield Static(Content(note), classes="dialog-note")

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        """Closes with the words."""
        self.dismiss(event.value)
