"""A list of choices, for the mouse, and for users who do not know the keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Key
from textual.widgets import Button

from tui.sanitise import one_line
from tui.screens.dialog import Dialog
from tui.terminal.deferred import after_refresh

if TYPE_CHECKING:
    from textual.app import ComposeResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A row of a menu."""

    id: str
    key: str
    """The key that takes it: a digit."""
    name: str
    words: str
    """What it does, for a menu with room for that."""
    is_on: bool = False
    """Whether it is marked as the present one."""


class Menu(Dialog[str | None]):
    """Closes with the id of the choice, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "choose('')", "Close"),
        Binding("up,left", "app.focus_previous", show=False),
        Binding("down,right", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], *, closing_key: str) -> None:
        """Takes the rows.

        Args:
            title: of the dialog.
            choices: rows, in order.
            closing_key: the key that opened the menu, and closes it as well.
        """
        super().__init__()
        self._title = title
        self._choices = {choice.id: choice for choice in choices}
        self._by_key = {choice.key: choice.id for choice in choices} | {closing_key: ""}

    def compose(self) -> ComposeResult:
        """Shows a row for each choice; those that are on are marked."""
        with VerticalScroll(classes="dialog -wide-dialog") as dialog:
            dialog.border_title = self._title
            dialog.border_subtitle = "Esc closes"
            for choice in self._choices.values():
                yield Button(Content(choice.name), id=f"choice-{choice.id}")

    def on_resize(self) -> None:
        """Explains the choices where there is room; their names are always there."""
        after_refresh(self, self._label_buttons)

    def _label_buttons(self) -> None:
        widest = max(len(choice.name) for choice in self._choices.values())
        heads = {
            choice.id: f"{choice.key} {'*' if choice.is_on else ' '} {choice.name:<{widest}}"
            for choice in self._choices.values()
        }
        rows = {name: f"{head}  {self._choices[name].words}" for name, head in heads.items()}
        room = min(button.content_size.width for button in self.query(Button))
        if max(map(len, rows.values())) > room:
            rows = heads
        for name, words in rows.items():
            label = one_line(words.rstrip(), max(1, room))
            self.query_one(f"#choice-{name}", Button).label = Content(label)

    def on_key(self, event: Key) -> None:
        """Takes the key of a choice."""
        if event.key in self._by_key:
            event.stop()
            self.action_choose(self._by_key[event.key])

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Takes the answer of a button."""
        self.action_choose((event.button.id or "").removeprefix("choice-"))

    def action_choose(self, name: str) -> None:
        """Closes with the answer."""
        self.dismiss(name or None)
