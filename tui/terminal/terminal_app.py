"""The app's connection to the terminal: its driver, the wall, and what happens when it is gone."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.errors import NoWidget
from textual.events import MouseEvent
from textual.filter import Monochrome, NoColor

from tui.terminal.door import Door
from tui.terminal.entrance import is_served
from tui.terminal.placed_update import placed
from tui.terminal.textual_leaks import cache_colours_by_colour, let_go_of_empty_toast_holders
from tui.terminal.wall import ForeignTextWall
from tui.widths import count_larger_widths

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.driver import Driver
    from textual.events import Event
    from textual.screen import Screen


class TerminalApp(App[None]):
    """A Textual app that a terminal cannot stop, whatever it sends and however it ends."""

    def __init__(self) -> None:
        cache_colours_by_colour()
        count_larger_widths()
        let_go_of_empty_toast_holders()
        super().__init__(driver_class=_own_driver())
        # No part of Textual's public interface; a test shows that it still does what it did.
        self._filters.append(ForeignTextWall())
        self._painting_is_held = False
        self.door = Door(self, self)
        self.is_leaving = False
        """Whether the app was told to end: what was put off until later is not done any more."""
        self.awaits_dialog = False
        """Whether a dialog was asked for that opens as soon as a worker has answered."""
        self._wished_status: int | None = None
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

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Sends an update with each part at its own place."""
        super()._display(screen, placed(renderable))

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
        self._wished_status = status
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self.request_exit, status)

    def request_exit(self, return_code: int) -> None:
        """Ends the app with a status."""
        self.exit(return_code=return_code)

    def on_load(self) -> None:
        """Ends an app that was asked to leave before it had begun."""
        if self._wished_status is not None:
            self.request_exit(self._wished_status)

    def exit(
        self,
        result: None = None,
        return_code: int = 0,
        message: RenderableType | None = None,
    ) -> None:
        """Ends the app."""
        self.is_leaving = True
        super().exit(result, return_code, message)

    def on_exit_app(self) -> None:
        """Notes that the app ends, also where a driver asked for it without ``exit``."""
        self.is_leaving = True

    async def _shutdown(self) -> None:
        """Ends the app, also where it was told in none of those ways, as by an error or a test."""
        self.is_leaving = True
        await super()._shutdown()

    async def on_event(self, event: Event) -> None:
        """Acts on an event, on one of the keyboard or the mouse only when its turn has come."""
        if self.door.admits(event) and not self._is_on_what_has_gone(event):
            await super().on_event(event)

    def _is_on_what_has_gone(self, event: Event) -> bool:
        """Tells whether the mouse is on something that the next frame will not show any more.

        Textual 8.2.8 looks for the parent of what was clicked at, and a toast may have none by now.
        """
        if not isinstance(event, MouseEvent) or event.is_forwarded or not self.screen_stack:
            return False
        try:
            widget, _ = self.get_widget_at(int(event.x), int(event.y))
        except NoWidget:
            return False
        return widget.parent is None

    def _handle_exception(self, error: Exception) -> None:
        """Ends the app for a defect; while it ends, what fails to find its parts is none.

        A screen loses its parts one after the other, and messages to them are still on their way.
        """
        if self.is_leaving:
            return
        if is_loss(error) and self.on_lost_terminal is not None:
            self.lose_terminal()  # to say so on the screen would fail likewise
        else:
            super()._handle_exception(error)

    def hold_painting(self, held: bool, lost: bool) -> None:
        """Stops painting while the terminal cannot follow; paints what has changed afterwards.

        Args:
            held: whether the terminal is behind.
            lost: whether something that was painted never went there.
        """
        if self.is_leaving:  # its screens have gone, or go
            return
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


def is_loss(error: Exception | None) -> bool:
    """Tells whether an error is what the system answers to writing where nobody reads any more."""
    lost = {errno.EPIPE, errno.ECONNRESET, errno.EIO, errno.EBADF, errno.ENXIO}
    return isinstance(error, OSError) and error.errno in lost


def _own_driver() -> type[Driver] | None:
    """Returns our driver for a page or a POSIX terminal; None where Textual has to choose."""
    if is_served():
        from tui.terminal.page_driver import PageDriver  # noqa: PLC0415 - needed by few

        return PageDriver
    try:
        from tui.terminal.driver import TerminalDriver  # noqa: PLC0415 - needs termios
    except ImportError:
        return None
    return TerminalDriver
