"""A whole step of the lesson as a dialog, for terminals where its pane has room for a part only."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Button

from tui.lesson.language import FrameWords
from tui.lesson.step_rows import Shown, whole_rows
from tui.screens.dialog import Dialog
from tui.widgets.painted import Painted

if TYPE_CHECKING:
    from textual.app import ComposeResult


class StepScreen(Dialog[str | None]):
    """Closes with ``close`` if the lesson is to be closed; otherwise with None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,S", "dismiss", "Close")]

    def __init__(self, words: FrameWords, *, ascii_only: bool) -> None:
        super().__init__()
        self._words = words
        self._ascii_only = ascii_only
        self._page = Painted()

    def compose(self) -> ComposeResult:
        """Shows the page, and a button that closes the lesson."""
        with VerticalScroll(classes="dialog -wide-dialog") as dialog:
            dialog.border_subtitle = "Esc"
            yield self._page
            yield Button(Content(f"{self._words.lesson}: {self._words.close}"), id="close-lesson")

    def show(self, shown: Shown) -> None:
        """Shows a step."""
        rows = whole_rows(shown, self._page.size.width, ascii_only=self._ascii_only)
        self._page.styles.height = len(rows)
        self._page.present(rows)

    @on(Button.Pressed)
    def closed(self) -> None:
        """Closes the lesson."""
        self.dismiss("close")
