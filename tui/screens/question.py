"""Small dialogs with buttons, answered by keys or clicks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Button, Static

from tui.screens.dialog import Dialog

if TYPE_CHECKING:
    from textual.app import ComposeResult

QuitChoice = Literal["save", "discard"]


class QuitQuestion(Dialog[QuitChoice | None]):
    """Save and stop, stop without saving, or stay; Enter takes the safe answer."""

    AUTO_FOCUS = "#save"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s,q", "answer('save')", "Save and stop"),
        Binding("d", "answer('discard')", "Stop without saving"),
        Binding("escape,n", "answer('stay')", "Stay"),
        Binding("up,left", "app.focus_previous", show=False),
        Binding("down,right", "app.focus_next", show=False),
    ]

    def compose(self) -> ComposeResult:
        """Shows three answers below each other."""
        with Vertical(classes="dialog"):
            yield Static(Content("Training is under way. Quit?"), classes="dialog-title")
            yield Button(Content("s    Save and stop"), id="save")
            yield Button(Content("d    Stop without saving"), id="discard")
            yield Button(Content("Esc  Stay"), id="stay")

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Takes the answer of a button."""
        self.action_answer(event.button.id or "stay")

    def action_answer(self, answer: str) -> None:
        """Closes with the answer."""
        if answer == "save":
            self.dismiss("save")
        elif answer == "discard":
            self.dismiss("discard")
        else:
            self.dismiss(None)
