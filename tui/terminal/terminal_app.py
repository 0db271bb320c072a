"""The app's connection to the terminal: its driver, the wall, and what happens when it is gone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.app import App
from textual.filter import Monochrome, NoColor

from tui.terminal.entrance import is_served
from tui.terminal.textual_leaks import cache_colours_by_colour, let_go_of_empty_toast_holders
from tui.terminal.wall import ForeignTextWall

if TYPE_CHECKING:
    from textual.driver import Driver


class TerminalApp(App[None]):
    """A Textual app that a terminal cannot stop, whatever it sends and however it ends."""

    def __init__(self) -> None:
        cache_colours_by_colour()
        let_go_of_empty_toast_holders()
        super().__init__(driver_class=_own_driver())
        # No part of Textual's public interface; a test shows that it still does what it did.
        self._filters.append(ForeignTextWall())
        self._painting_is_held = False
        self.terminal_has_stalled = False
        """Whether the app has ended before the terminal took all that it wrote."""
        self.abandon_output: Callable[[], object] = lambda: None
        """Forgets what the terminal has not taken yet, but for what restores it."""
        self.wait_for_output: Callable[[], object] = lambda: None
        """Waits until the terminal has taken all, however long; whoever writes past the driver
        would write into the middle of a sequence."""
        self.on_lost_terminal: Callable[[], None] | None = None
        """Is called, from the thread that reads keys, when there are none any more."""

    @property
    def defect(self) -> Exception | None:
        """What Textual ended the app for: a defect of ours or of its own."""
        return self._exception

    def obey_no_color(self) -> None:
        """Takes all colours away where NO_COLOR asks for it.

        Textual takes an empty NO_COLOR for a wish, too. And it chooses how to obey before it knows
        the theme: it would make greys of the terminal's own colours, black on black.
        """
        self.no_color = bool(os.environ.get("NO_COLOR"))
        self._filters = [item for item in self._filters if not isinstance(item, Monochrome)]
        if self.no_color:
            self._filters.append(NoColor())

    def lose_terminal(self) -> None:
        """Tells whoever guards the program that the terminal has ended."""
        if self.on_lost_terminal is not None:
            self.on_lost_terminal()

    def leave_from_any_thread(self, status: int) -> None:
        """Asks the app to end with a status; never waits."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self.request_exit, status)

    def request_exit(self, return_code: int) -> None:
        """Ends the app with a status."""
        self.exit(return_code=return_code)

    def hold_painting(self, held: bool, lost: bool) -> None:
        """Stops painting while the terminal cannot follow; paints what has changed afterwards.

        Args:
            held: whether the terminal is behind.
            lost: whether something that was painted never went there.
        """
        if held and not self._painting_is_held:
            self._painting_is_held = True
            self._begin_batch()
        elif not held and self._painting_is_held:
            self._painting_is_held = False
            self._end_batch()
            if lost:
                self.paint_all_again()
            else:
                self.screen.check_idle()

    def paint_all_again(self) -> None:
        """Draws every cell again: somebody else has written on the terminal meanwhile."""
        self.refresh(layout=True)
        for screen in self.screen_stack:
            screen.refresh()
            for widget in screen.walk_children():
                widget.refresh()

    def _print_error_renderables(self) -> None:
        """Prints no traceback: it holds foreign text as it is, and is no line for a user."""
        self._exit_renderables.clear()


def _own_driver() -> type[Driver] | None:
    """Returns our driver for a POSIX terminal; None where Textual has to choose, as on a page."""
    if is_served():
        return None
    try:
        from tui.terminal.driver import TerminalDriver  # noqa: PLC0415 - needs termios
    except ImportError:
        return None
    return TerminalDriver
