"""What the main screen needs from the app around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from model.commands import Command
from model.config import SamplingConfig
from tui.config.keys import KeyAction
from tui.view.state import ViewState

Severity = Literal["information", "warning", "error"]


class SessionHost(Protocol):
    """Keeps the session: its state, its commands, and the answers to the user."""

    state: ViewState
    sampling: SamplingConfig
    """The settings that the user chose."""
    held: bool
    """Whether the user wants the text on hold."""
    awaits_dialog: bool
    """Whether a dialog was asked for that opens as soon as the session has answered."""

    @property
    def acting_keys(self) -> tuple[KeyAction, ...]:
        """The keys that do something now."""

    def post(self, command: Command) -> None:
        """Hands a command to the session; never waits."""

    def hold_writing(self, held: bool) -> None:
        """Holds the text, or continues it."""

    def say(self, words: str, *, severity: Severity = "information") -> None:
        """Shows a toast; the words must be printable."""

    def write_file(self, kind: str, words: str, content: Callable[[], bytes]) -> None:
        """Writes a new file in the background and says where it is.

        Args:
            kind: end of the file's name, with its suffix.
            words: what the file holds, for the toast.
            content: makes the bytes; runs in a thread.
        """

    def draw_status(self) -> None:
        """Draws the lower edge of the writing pane."""

    def draw_all(self) -> None:
        """Draws everything but the text."""
