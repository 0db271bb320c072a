"""The app's connection to the terminal: driver, wall, and the end of the terminal."""

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
from tui.terminal.textual_workarounds import (
    cache_colours_by_colour,
    let_every_delay_end,
    let_go_of_empty_toast_holders,
)
from tui.terminal.wall import ForeignTextWall
from tui.widths import count_our_widths

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.driver import Driver
    from textual.events import Event
    from textual.screen import Screen


class TerminalApp(App[None]):
    """A Textual app that survives whatever the terminal sends, and the end of the terminal."""

    def __init__(self) -> None:
        cache_colours_by_colour()
        count_our_widths()
        let_go_of_empty_toast_holders()
        let_every_delay_end()
        super().__init__(driver_class=_own_driver())
        # Not part of Textual's public interface; a test checks it.
        self._filters.append(ForeignTextWall())
        self._painting_is_held = False
        self.door = Door(self, self)
        self.is_leaving = False
        """Whether the app ends; deferred work is not done any more."""
        self.awaits_dialog = False
        """Whether a dialog was asked for that opens as soon as a worker has answered."""
        self._wished_status: int | None = None
        self.terminal_has_stalled = False
        """Whether the app ended before the terminal took all output."""
        self.abandon_output: Callable[[], object] = lambda: None
        """Drops pending output, except the sequences that restore the terminal."""
        self.wait_for_output: Callable[[], object] = lambda: None
        """Waits without limit until the terminal has taken all output. Writing past the driver
        earlier would split a control sequence."""
        self.on_lost_terminal: Callable[[], None] | None = None
        """Called by the thread that reads keys when the terminal has ended."""

    @property
    def defect(self) -> Exception | None:
        """The error that ended the app: a defect of this program or of Textual."""
        return self._exception

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Sends an update in which each part is placed absolutely."""
        super()._display(screen, placed(renderable))

    def obey_no_color(self) -> None:
        """Removes all colours if NO_COLOR is set and not empty.

        Textual obeys an empty NO_COLOR, too. It also chooses its filter before it knows the theme,
        and would turn the terminal's own colours into greys: black on black.
        """
        self.no_color = bool(os.environ.get("NO_COLOR"))
        self._filters = [item for item in self._filters if not isinstance(item, Monochrome)]
        if self.no_color:
            self._filters.append(NoColor())

    def lose_terminal(self) -> None:
        """Reports the end of the terminal to the guard of the program."""
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
        """Ends an app that was asked to end before it started."""
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
        """Notes that the app ends, even if a driver ends it without ``exit``."""
        self.is_leaving = True

    async def _shutdown(self) -> None:
        """Notes that the app ends, even if an error or a test ends it."""
        self.is_leaving = True
        await super()._shutdown()

    async def on_event(self, event: Event) -> None:
        """Acts on an event; keys and clicks wait for their turn at the door."""
        if self.door.admits(event) and not self._is_on_what_has_gone(event):
            await super().on_event(event)

    def _is_on_what_has_gone(self, event: Event) -> bool:
        """Returns whether the mouse is on a widget that is being removed.

        Textual 8.2.8 looks up the parent of a clicked widget, which a removed toast has lost.
        """
        if not isinstance(event, MouseEvent) or event.is_forwarded or not self.screen_stack:
            return False
        try:
            widget, _ = self.get_widget_at(int(event.x), int(event.y))
        except NoWidget:
            return False
        return widget.parent is None

    def _handle_exception(self, error: Exception) -> None:
        """Ends the app for a defect; ignores errors while the app ends.

        Widgets are removed one by one then, while messages to them are still queued.
        """
        if self.is_leaving:
            return
        if is_loss(error) and self.on_lost_terminal is not None:
            self.lose_terminal()  # showing it on the screen would fail, too
        else:
            super()._handle_exception(error)

    def hold_painting(self, held: bool, lost: bool) -> None:
        """Stops painting while the terminal is behind; paints what has changed afterwards.

        Args:
            held: whether the terminal is behind.
            lost: whether painted output was dropped.
        """
        if self.is_leaving:  # its screens are being removed
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
        """Draws every cell again, because another program has written on the terminal."""
        self.refresh(layout=True)
        for screen in self.screen_stack:
            screen.refresh()
            for widget in screen.walk_children():
                widget.refresh()

    def _print_error_renderables(self) -> None:
        """Prints no traceback: it holds raw foreign text, and does not help a user."""
        self._exit_renderables.clear()


def is_loss(error: Exception | None) -> bool:
    """Returns whether an error means that the terminal has gone."""
    lost = {errno.EPIPE, errno.ECONNRESET, errno.EIO, errno.EBADF, errno.ENXIO}
    return isinstance(error, OSError) and error.errno in lost


def _own_driver() -> type[Driver] | None:
    """Returns our driver for a web page or a POSIX terminal; None lets Textual choose."""
    if is_served():
        from tui.terminal.page_driver import PageDriver  # noqa: PLC0415 - needed by few

        return PageDriver
    try:
        from tui.terminal.driver import TerminalDriver  # noqa: PLC0415 - needs termios
    except ImportError:
        return None
    return TerminalDriver
