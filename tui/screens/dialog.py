"""The base of all dialogs: each closes with exactly one answer."""

from __future__ import annotations

from typing import Generic, TypeVar

from textual.await_complete import AwaitComplete
from textual.command import CommandPalette
from textual.screen import ModalScreen, Screen

Answer = TypeVar("Answer")


class AnswersOnce(Screen[Answer], Generic[Answer]):
    """A screen that closes with its first answer and ignores later ones.

    Messages to a screen that closes are still on their way: the second click of two, the Enter of
    a key that repeats. In Textual each of them would take one more screen away.
    """

    _has_answered = False

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Closes with an answer, unless it has closed already or another screen covers it."""
        if self._has_answered or self.app.screen is not self:
            return AwaitComplete()
        self._has_answered = True
        return super().dismiss(result)


# Textual inherits styles from the first base only.
class Dialog(ModalScreen[Answer], AnswersOnce[Answer], Generic[Answer]):
    """A question, a field, a list or a page over the panes."""


class Palette(CommandPalette, AnswersOnce[None]):
    """Textual's command palette."""
