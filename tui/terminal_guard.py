"""What happens when the line goes down or somebody ends the program from outside.

Textual dies of SIGHUP and SIGTERM with nothing saved and the terminal left raw, and its event loop
can stand still on a terminal that is gone or stalled. So a thread of our own waits for the end:
it lets the session save, asks the app to leave, and where that does not happen, restores the
terminal itself and ends the process. This module holds everything that touches the terminal below
Textual.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from tui.exit_status import SIGNAL

if TYPE_CHECKING:
    from model.session import Session
    from tui.app import CharlmApp

try:
    import termios

    HAVE_TERMIOS = True
except ImportError:  # no POSIX terminal (Windows): there is nothing to restore
    HAVE_TERMIOS = False

SECONDS_TO_SAVE = 10.0
SECONDS_TO_LEAVE = 1.5
"""For the app to restore the terminal by itself."""
SECONDS_BETWEEN_LOOKS = 0.5
"""At the terminal, for a hang-up that came without a signal (nohup)."""
WEB_DRIVER = "textual.drivers.web_driver:WebDriver"
"""What Textual shows an app on a page with, as it wants to be told in `$TEXTUAL_DRIVER`."""
SERVED_BY = "CHARLM_SERVED_BY"
"""Holds the process number of `serve`, whose children alone may do without a terminal."""
SIGNAL_NAMES = ("SIGHUP", "SIGTERM", "SIGINT")
RESET = (
    b"\x1b[<u\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"
    b"\x1b[?2004l\x1b[?1004l\x1b[?2048l\x1b[?7h\x1b[?25h\x1b[0m"
)
"""Leaves the key protocol (each screen has its own), the alternate screen, mouse reporting,
bracketed paste, focus and size reports; wraps lines again and shows the cursor."""


class TerminalGuard:
    """While it is entered, signals and hang-ups save the session and end the program properly."""

    def __init__(self, session: Session, app: CharlmApp) -> None:
        self._session = session
        self._app = app
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._number: int | None = None
        self._before: dict[int, Any] = {}
        self._mode: Any = None
        self._thread = threading.Thread(target=self._watch, name="terminal-guard", daemon=True)

    @property
    def received(self) -> int | None:
        """The signal that ended the program; a hang-up without one counts as SIGHUP."""
        return self._number

    def __enter__(self) -> Self:
        """Takes over the signals and remembers the terminal's mode."""
        if HAVE_TERMIOS:
            with contextlib.suppress(termios.error, OSError, ValueError):
                self._mode = termios.tcgetattr(sys.__stdin__.fileno())  # type: ignore[union-attr]
        for name in SIGNAL_NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                # Not the loop's own handlers: the loop may be the very thing that stands still.
                self._before[number] = signal.signal(number, self._handle)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives the signals back."""
        self._ended.set()
        self._wake.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._number is None:
            self._number = number
            self._wake.set()

    def _watch(self) -> None:
        """Waits for a signal or a hang-up, then sees the program to its end."""
        while not self._wake.wait(SECONDS_BETWEEN_LOOKS):
            if self._terminal_is_gone():
                self._number = int(signal.SIGHUP)
                break
        if self._ended.is_set() or self._number is None:
            return
        if self._terminal_is_gone():
            _point_terminal_at_nothing()
        self._session.close(save=True, timeout=SECONDS_TO_SAVE)
        status = SIGNAL + self._number
        loop = self._app._loop  # noqa: SLF001 - Textual offers no other way in that cannot block
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._app.request_exit, status)
        deadline = time.monotonic() + SECONDS_TO_LEAVE
        if not self._ended.wait(max(0.0, deadline - time.monotonic())):
            self._restore()
            os._exit(status)

    def _terminal_is_gone(self) -> bool:
        if not hasattr(select, "poll"):
            return False
        poll = select.poll()
        try:
            poll.register(0, 0)
            return any(state & (select.POLLHUP | select.POLLNVAL) for _, state in poll.poll(0))
        except OSError:
            return True

    def _restore(self) -> None:
        """Puts the terminal back as it was, as far as one that reads nothing lets us."""
        with contextlib.suppress(Exception):
            os.set_blocking(2, False)
            os.write(2, RESET)
        if HAVE_TERMIOS and self._mode is not None:
            with contextlib.suppress(Exception):
                termios.tcflush(0, termios.TCOFLUSH)
                termios.tcsetattr(0, termios.TCSANOW, self._mode)


def _point_terminal_at_nothing() -> None:
    """Lets whatever is stuck writing to a terminal that is gone come free."""
    with contextlib.suppress(OSError):
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        os.close(nothing)


def is_served() -> bool:
    """Tells whether `serve` of this program started this process, to show it on a page."""
    server = os.environ.get(SERVED_BY, "")
    return server == str(os.getppid()) and os.environ.get("TEXTUAL_DRIVER") == WEB_DRIVER


def why_no_terminal() -> str | None:
    """Returns why the app cannot be shown here; None where it can."""
    if is_served():
        return None
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return "the app needs a terminal for its keys and its screen"
    if os.environ.get("TERM", "dumb") in {"", "dumb", "unknown"}:
        return "the terminal cannot move its cursor (TERM is dumb or not set)"
    return None


def take_text_from_stdin() -> int:
    """Returns a descriptor of what is piped in, and gives the keyboard its place.

    Raises:
        OSError: there is no terminal to read keys from.
    """
    text = os.dup(0)
    keyboard = os.open("/dev/tty", os.O_RDWR)
    os.dup2(keyboard, 0)
    os.close(keyboard)
    return text
