"""Saves and ends the program when the connection drops or a signal arrives.

SIGHUP and SIGTERM would end Textual without saving, and leave the terminal raw. So a separate
thread waits for them. It lets the session save and asks the app to exit. If the app does not, the
thread restores the terminal and ends the process. With ``--on-hangup continue`` it continues the
training without a screen.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from model.runs.file_names import LOG_NAME
from tui.console.exit_status import PROGRAM, SIGNAL
from tui.terminal.ending_signals import ending_signals
from tui.terminal.entrance import is_served
from tui.terminal.output import RESET
from tui.terminal.without_screen import WithoutScreen

if TYPE_CHECKING:
    from model.session.live import LiveSession
    from model.session.watch import WatchSession
    from tui.terminal.terminal_app import TerminalApp

try:
    import termios

    HAVE_TERMIOS = True
except ImportError:  # no POSIX terminal (Windows): there is nothing to restore
    HAVE_TERMIOS = False

OnHangUp = Literal["save", "continue"]

SECONDS_TO_SAVE: Final = 30.0
"""Time limit for saving. Half a second is usual; a busy machine must not lose a checkpoint."""
SECONDS_TO_LEAVE: Final = 3.0
"""Time for the app to restore the terminal; half a second is usual."""
SECONDS_FOR_FAREWELL: Final = 10.0
"""Time for the last messages, if the terminal accepted the output before them."""
SECONDS_BETWEEN_LOOKS: Final = 0.5
"""Interval of checks for a hang-up without a signal (nohup)."""
TRIES_TO_RESTORE: Final = 20
SECONDS_BETWEEN_TRIES: Final = 0.05
_HANG_UP: Final = int(getattr(signal, "SIGHUP", 1))
_NOTHING: Final = 0
"""Entry in the queue of signals that means the app has ended by itself."""


class TerminalGuard:
    """A context manager in which signals and hang-ups save the session and end the program."""

    def __init__(
        self,
        session: LiveSession | WatchSession,
        app: TerminalApp,
        *,
        on_hangup: OnHangUp | None = None,
    ) -> None:
        """Prepares the guard; entering the context starts it.

        Args:
            session: the session to save.
            app: the app to end.
            on_hangup: whether the training ends with its terminal. With None, it continues if
                SIGHUP was ignored at the start, as under ``nohup``.
        """
        self._session = session
        self._app = app
        self._goes_on = on_hangup == "continue" or (
            on_hangup is None
            and not is_served()  # a closed page cannot reconnect
            and hasattr(signal, "SIGHUP")
            and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        )
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._left = threading.Event()
        """Set when the app has ended and has restored the terminal."""
        self._went_on = False
        self._decided = threading.Event()
        """Set when the guard has begun to end the program, or to continue without a screen."""
        self._done = threading.Event()
        self._number: int | None = None
        self._status: int | None = None
        self._before: dict[int, Any] = {}
        self._mode: Any = None
        self._terminal: str | None = None
        self._can_look = False
        self._thread = threading.Thread(target=self._watch, name="terminal-guard", daemon=True)

    @property
    def received(self) -> int | None:
        """The signal that ended the program; a hang-up without one counts as SIGHUP."""
        return self._number

    @property
    def status(self) -> int | None:
        """The exit status of a training that continued without a screen; None before its end."""
        return self._status

    def __enter__(self) -> Self:
        """Takes over the signals and remembers the terminal's mode."""
        if HAVE_TERMIOS:
            with contextlib.suppress(termios.error, OSError, ValueError):
                self._mode = termios.tcgetattr(sys.__stdin__.fileno())  # type: ignore[union-attr]
        with contextlib.suppress(OSError, AttributeError):
            self._terminal = os.ttyname(2)
        # If a check reports a hang-up of a terminal that is clearly open, checks are useless.
        self._can_look = not _is_hung_up()
        for number in ending_signals():
            # Not the event loop's own handlers, because the loop may be stuck.
            self._before[number] = signal.signal(number, self._handle)
        self._app.on_lost_terminal = self._lose
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restores the previous signal handlers."""
        self._left.set()
        self._app.on_lost_terminal = None
        self._signals.put(_NOTHING)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def lose_terminal(self) -> None:
        """Reports that the app has ended because its terminal is gone."""
        self._lose()
        self._left.set()
        _wait_for(self._decided)

    def wait_for_the_end(self) -> None:
        """Waits, after the app has ended, while the training continues without it."""
        self._left.set()
        if self._went_on:
            _wait_for(self._done)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._signals.put(number)

    def _lose(self) -> None:
        self._signals.put(_HANG_UP)

    # --- inside the guard's thread ----------------------------------------------------------------

    def _watch(self) -> None:
        """Waits for a signal or a hang-up, then ends the program."""
        number = self._next_signal()
        if number == _NOTHING:
            return
        if self._is_gone():
            _point_terminal_at_nothing()
        if number == _HANG_UP and self._goes_on and self._session.is_training:
            self._went_on = True
            self._decided.set()
            self._go_on()
        else:
            self._end(number)

    def _next_signal(self) -> int:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._signals.get(timeout=SECONDS_BETWEEN_LOOKS)
            if self._is_gone():
                return _HANG_UP

    def _is_gone(self) -> bool:
        return self._can_look and _is_hung_up()

    def _end(self, number: int) -> None:
        """Saves, asks the app to exit, and ends the process if the app does not."""
        self._number = number
        self._decided.set()
        self._session.close(save=True, timeout=SECONDS_TO_SAVE)
        self._app.leave_from_any_thread(SIGNAL + number)
        if self._left.wait(SECONDS_TO_LEAVE):
            # Printing the last messages can block for ever on a stalled terminal. If it does not,
            # the process ends, and this thread with it.
            time.sleep(0.5 if self._app.terminal_has_stalled else SECONDS_FOR_FAREWELL)
        if not self._left.is_set() or self._app.terminal_has_stalled:
            self._restore()
        os._exit(SIGNAL + number)

    def _go_on(self) -> None:
        """Asks the app to exit, and runs the training to its end without it."""
        self._app.leave_from_any_thread(0)
        if not self._left.wait(SECONDS_TO_LEAVE):
            self._restore()
        self._say(f"the training goes on without a screen, process {os.getpid()}; see {LOG_NAME}")
        _point_terminal_at_nothing()
        work = WithoutScreen(self._session, self._signals)  # type: ignore[arg-type]
        self._status = work.run(_HANG_UP, SECONDS_TO_SAVE)
        self._done.set()
        if not self._left.is_set():
            os._exit(self._status)

    # --- the terminal -----------------------------------------------------------------------------

    def _restore(self) -> None:
        """Restores the terminal, as far as a stalled terminal allows."""
        self._app.abandon_output()
        for _ in range(TRIES_TO_RESTORE):
            if HAVE_TERMIOS and self._mode is not None:
                with contextlib.suppress(Exception):
                    # Dropping the rest of a frame makes room for the last messages.
                    termios.tcflush(0, termios.TCOFLUSH)
                    termios.tcsetattr(0, termios.TCSANOW, self._mode)
            if self._write(RESET):
                return
            # A thread that still writes a frame has filled the room first.
            time.sleep(SECONDS_BETWEEN_TRIES)

    def _say(self, sentence: str) -> None:
        self._write(f"\r{PROGRAM}: {sentence}\n".encode())

    def _write(self, data: bytes) -> bool:
        """Writes what the terminal accepts at once; other descriptors stay in blocking mode.

        Returns:
            Whether all data was written, or the terminal is gone.
        """
        if self._terminal is None:
            return True
        try:
            # A new descriptor, because other processes share the open file of the standard ones.
            terminal = os.open(self._terminal, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            try:
                return os.write(terminal, data) == len(data)
            finally:
                os.close(terminal)
        except BlockingIOError:
            return False
        except OSError:
            return True  # gone


def _wait_for(event: threading.Event) -> None:
    """Waits in the main thread, and lets it handle signals meanwhile.

    Python handles signals in the main thread alone. A wait without an end is not interrupted by a
    signal that the system has delivered to another thread.
    """
    while not event.wait(SECONDS_BETWEEN_LOOKS):
        pass


def _is_hung_up() -> bool:
    """Returns whether the terminal at standard input is gone."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    try:
        poll.register(0, 0)
        return any(state & (select.POLLHUP | select.POLLNVAL) for _, state in poll.poll(0))
    except OSError:
        return True


def _point_terminal_at_nothing() -> None:
    """Unblocks threads that are stuck writing to a terminal that is gone."""
    with contextlib.suppress(OSError):
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        os.close(nothing)
