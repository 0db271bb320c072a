"""A list of all panes, for the mouse, and for users who do not know the digits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Button

from tui.screens.dialog import Dialog
from tui.terminal.deferred import after_refresh
from tui.view.layout import PANES

if TYPE_CHECKING:
    from textual.app import ComposeResult


class ViewMenu(Dialog[str | None]):
    """Closes with the id of the pane to show or hide."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(pane.digit, f"choose('{pane.id}')", pane.name) for pane in PANES),
        Binding("escape,q,v", "choose('')", "Close"),
        Binding("up,left", "app.focus_previous", show=False),
        Binding("down,right", "app.focus_next", show=False),
    ]

    def __init__(self, shown: tuple[str, ...]) -> None:
        super().__init__()
        self._shown = shown

    def compose(self) -> ComposeResult:
        """Shows a row for each pane; visible panes are marked."""
        with VerticalScroll(classes="dialog -wide-dialog") as dialog:
            dialog.border_title = "Views"
            dialog.border_subtitle = "Esc closes"
            for pane in PANES:
                yield Button(Content(pane.name), id=f"view-{pane.id}")

    def on_resize(self) -> None:
        """Explains the panes where there is room; their names are always there."""
        after_refresh(self, self._label_buttons)

    def _label_buttons(self) -> None:
        signs = {pane.id: "*" if pane.id in self._shown else " " for pane in PANES}
        heads = {pane.id: f"{pane.digit} {signs[pane.id]} {pane.name:<11}" for pane in PANES}
        rows = {pane.id: f"{heads[pane.id]} {pane.tooltip}" for pane in PANES}
        room = min(button.content_size.width for button in self.query(Button))
        if max(map(len, rows.values())) > room:
            rows = heads
        for name, words in rows.items():
            self.query_one(f"#view-{name}", Button).label = Content(words.rstrip())

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Takes the answer of a button."""
        self.action_choose((event.button.id or "").removeprefix("view-"))

    def action_choose(self, name: str) -> None:
        """Closes with the answer."""
        self.dismiss(name or None)
