"""Textual's driver for Linux and macOS, hardened against faults of real terminals."""

from __future__ import annotations

import contextlib
import os
import selectors
import sys
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, Any, Final, cast

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Paste
from textual.geometry import Size

from tui.terminal.keeper import TerminalKeeper
from tui.terminal.output import TerminalOutput
from tui.terminal.pastes import Pastes
from tui.terminal.sizes import bounded, within_reason

if TYPE_CHECKING:
    from textual.app import App
    from textual.message import Message

    from tui.terminal.host import TerminalHost

SECONDS_TO_DRAIN: Final = 1.0
USUAL: Final = Size(80, 25)
"""The size to use if a terminal reports 0 x 0, as on a serial line."""


class TerminalDriver(LinuxDriver):
    """Reads keys from any bytes, and writes without blocking.

    It differs from its base in five points. Bytes that are not UTF-8 are replaced and do not end
    the app. The end of input is a hang-up, not an endless loop. Sizes are bounded. A terminal that
    is stalled or gone blocks no thread of the app. SIGCONT without a SIGTSTP before it keeps the
    terminal's mode.
    """

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._host = cast("TerminalHost", app)
        self._shown = False
        self._parser = XTermParser(debug)
        stream = sys.__stderr__
        assert stream is not None  # checked before the app starts
        self._output = TerminalOutput(
            stream.fileno(), encoding=stream.encoding, on_backlog=self._pace
        )
        self._keeper = TerminalKeeper(stream.fileno())
        self._host.abandon_output = self._output.abandon
        self._host.wait_for_output = self._output.drain

    # --- out --------------------------------------------------------------------------------------

    def write(self, data: str) -> None:
        """Queues text to write; drops it while the terminal belongs to the shell."""
        if self._shown:
            self._output.write(data)

    def start_application_mode(self) -> None:
        """Takes over the terminal, unless this process is in the background."""
        before = self._writer_thread
        self._shown = True
        self._keeper.note(shown=True)
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._shown = self._writer_thread is not before
        self._keeper.note(shown=self._shown)

    def stop_application_mode(self) -> None:
        """Restores the terminal's previous mode."""
        if self._shown:
            super().stop_application_mode()
            self._keeper.note(shown=False)

    def close(self) -> None:
        """Waits for the remaining output, as long as the terminal accepts any of it."""
        super().close()
        stalled = not self._output.drain(SECONDS_TO_DRAIN)
        if stalled:
            self._output.abandon()
        self._host.terminal_has_stalled = stalled
        self._shown = False
        self._keeper.close()

    def _sigcont_application(self, *_: object) -> None:
        """Takes over the terminal again, even after a SIGSTOP, which a process cannot catch."""
        if self._auto_restart:
            if self._shown:
                self.suspend_application_mode()
                self._must_signal_resume = True
            self.resume_application_mode()

    def _pace(self, behind: bool) -> None:
        """Stops the app's painting while the terminal is behind."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(
                self._host.hold_painting, behind, self._output.forgotten
            )
        if not behind:
            self._output.forgotten = False

    # --- in ---------------------------------------------------------------------------------------

    def _get_terminal_size(self) -> tuple[int, int]:
        """Returns columns and rows; ignores the environment, whose values may be outdated."""
        try:
            size = os.get_terminal_size(2)
        except OSError:
            return USUAL
        return within_reason(size.columns or USUAL.width, size.lines or USUAL.height)

    def process_message(self, message: Message) -> None:
        """Limits the sizes that the terminal reports."""
        super().process_message(bounded(message))

    def run_input_thread(self) -> None:
        """Reads keys until the app or the terminal ends."""
        decoder = getincrementaldecoder("utf-8")("replace")
        self._parser, self._pastes = XTermParser(self._debug), Pastes()
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                text = ""
                if selector.select(0.1):
                    try:
                        data = os.read(self.fileno, 4096)
                    except OSError:
                        data = b""
                    if not data:
                        self._host.lose_terminal()
                        return
                    text = decoder.decode(data)
                self._understand(text)

    def _understand(self, text: str) -> None:
        """Posts the events that the text encodes; drops invalid sequences."""
        try:
            for part in self._pastes.split(text):
                if part.is_pasted:
                    self.process_message(Paste(part.text.replace("\0", "")))
                    continue
                for message in self._parser.feed(part.text):
                    self.process_message(message)
            for message in self._parser.tick():
                self.process_message(message)
        except Exception:  # noqa: BLE001 - a parser that fails must not take the training with it
            self._parser, self._pastes = XTermParser(self._debug), Pastes()
