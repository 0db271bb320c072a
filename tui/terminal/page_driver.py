"""Textual's driver for a page in a browser, hardened against invalid input and a lost server.

A packet has Textual's format: one byte for the kind, four for the length, and the payload.
"""

from __future__ import annotations

import asyncio
import json
import os
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, Any, Final, cast

from textual._xterm_parser import XTermParser
from textual.drivers._byte_stream import ByteStream
from textual.drivers.web_driver import WebDriver
from textual.events import AppBlur, AppFocus, Resize
from textual.geometry import Size

from tui.terminal.page_protocol import PRELUDE
from tui.terminal.sizes import bounded, within_reason

if TYPE_CHECKING:
    from textual.app import App
    from textual.message import Message

    from tui.terminal.host import TerminalHost

MAX_WAITING_MESSAGES: Final = 2_000
"""Maximum number of unhandled keys; the reader waits before it takes more."""


class PageDriver(WebDriver):
    """Shows the app on a page in a browser.

    It differs from its base in five points. The guard keeps handling signals and saves. Sizes are
    bounded integers. Invalid input is ignored. The end of the server is a hang-up. Output that a
    library prints to the standard output does not corrupt the packets.
    """

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size or size_of_environment())
        self._host = cast("TerminalHost", app)
        self._packets: int | None = os.dup(1)
        os.dup2(2, 1)
        self._write = self._write_all  # type: ignore[assignment]
        self._parser = XTermParser(debug)

    # --- out --------------------------------------------------------------------------------------

    def _write_all(self, data: bytes) -> None:
        """Writes a complete packet; writes nothing after the server has gone."""
        rest = memoryview(data)
        try:
            while rest and self._packets is not None:
                rest = rest[os.write(self._packets, rest) :]
        except OSError:
            self._packets = None
            self._host.lose_terminal()

    def start_application_mode(self) -> None:
        """Starts to show the app as the base does, without the base's signal handlers."""
        self._write(PRELUDE)
        self.write("\x1b[?1049h")  # the alternate screen
        if self._mouse:
            self._enable_mouse_support()
        self.write("\x1b[?25l")  # no cursor
        size = Size(*(self._size or size_of_environment()))
        self._loop = asyncio.get_running_loop()
        self.process_message(Resize(size, size))
        self._request_terminal_sync_mode_support()
        self._enable_bracketed_paste()
        self._key_thread.start()
        self._app.call_later(self._app.post_message, AppBlur())

    # --- in ---------------------------------------------------------------------------------------

    def run_input_thread(self) -> None:
        """Reads packets from the server until the app or the server ends."""
        packets = ByteStream()
        decoder = getincrementaldecoder("utf-8")("replace")
        for data in self._input_reader:
            while self._app.message_queue_size > MAX_WAITING_MESSAGES:
                if self.exit_event.wait(0.05):
                    return
            for kind, payload in packets.feed(data) if data else ():
                if kind == "D":
                    self._understand(decoder.decode(payload))
                elif kind == "M":
                    self._obey(payload)
            self._understand("")
        if not self.exit_event.is_set():
            self._host.lose_terminal()

    def process_message(self, message: Message) -> None:
        """Limits sizes, including those typed as the report of a terminal."""
        super().process_message(bounded(message))

    def _understand(self, text: str) -> None:
        """Posts the events of typed input; drops invalid sequences."""
        try:
            for message in (*(self._parser.feed(text) if text else ()), *self._parser.tick()):
                self.process_message(message)
        except Exception:  # noqa: BLE001 - a parser that fails must not take the training with it
            self._parser = XTermParser(self._debug)

    def _obey(self, payload: bytes) -> None:
        """Executes a request of the server; unknown requests are ignored."""
        try:
            asked = json.loads(payload)
        except (ValueError, RecursionError):
            return
        match asked:
            case {"type": "resize", "width": int() as columns, "height": int() as rows}:
                self._size = within_reason(columns, rows)
                size = Size(*self._size)
                self._app.post_message(Resize(size, size))
            case {"type": "focus"}:
                self._app.post_message(AppFocus())
            case {"type": "blur"}:
                self._app.post_message(AppBlur())
            case {"type": "quit"}:
                self._host.leave_from_any_thread(0)
            case _:
                pass


def size_of_environment() -> tuple[int, int]:
    """Returns the size that the server set in the environment; 80 x 24 without one."""
    try:
        size = int(os.environ["COLUMNS"]), int(os.environ["ROWS"])
    except (KeyError, ValueError):
        return 80, 24
    return within_reason(*size)
