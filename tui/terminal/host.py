"""The interface that drivers and the door need from the app, beyond Textual's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class TerminalHost(Protocol):
    """The app, as they see it; ``TerminalApp`` is one."""

    is_leaving: bool
    """Whether the app was asked to exit."""
    awaits_dialog: bool
    """Whether a dialog was asked for that opens as soon as a worker has answered."""
    terminal_has_stalled: bool
    """Whether the app has ended before the terminal took all that it wrote."""
    abandon_output: Callable[[], object]
    """Forgets output that the terminal has not taken yet, except what restores the terminal."""
    wait_for_output: Callable[[], object]
    """Waits until the terminal has taken all output, however long that takes."""

    def hold_painting(self, held: bool, lost: bool) -> None:
        """Stops or resumes painting while the terminal is behind."""

    def lose_terminal(self) -> None:
        """Is called, from any thread, when no more input can come."""

    def leave_from_any_thread(self, status: int) -> None:
        """Ends the app with an exit status."""
