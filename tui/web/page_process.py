"""The process of the app behind one open page: its output goes to the page, input comes back."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Final

from model.system.child_process import RelayedChild, how_it_ended, start_relayed_child
from tui.console.exit_status import complain
from tui.sanitise import one_line
from tui.terminal.entrance import SERVED_BY
from tui.terminal.page_protocol import PRELUDE
from tui.web.page_message import FocusChanged, PageMessage, Ping, Resized, Typed

SECONDS_TO_QUIT: Final = 10.0
"""Time for a process to quit on request; one second is usual. Then SIGTERM follows."""
SECONDS_TO_SAVE: Final = 45.0
"""Time from SIGTERM to SIGKILL; the process gives its workers 30 seconds."""
SECONDS_BETWEEN_SIZES: Final = 0.05
"""A dragged window reports a size a hundred times a second, and each one causes a layout."""
TYPED_PER_SECOND: Final = 20_000
"""Rate limit for input in characters; a person does not type or paste faster for long."""
MAX_UNREAD_BYTES: Final = 2 << 20
"""Buffer for a process that does not read; input beyond it is dropped."""
MAX_PACKET_BYTES: Final = 64 << 20
MAX_LINE_CHARACTERS: Final = 600


class PageProcess:
    """A process of the app, and the relays of its output and input."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Prepares the process without starting it.

        Args:
            send: sends output to the page; raises if the page has gone.
        """
        self._send = send
        self._process: RelayedChild | None = None
        self._relays: list[asyncio.Task[None]] = []
        self._page_is_there = True
        self._size: Resized | None = None
        self._starting = asyncio.Lock()
        self._stopping: asyncio.Task[None] | None = None

    async def start(self, arguments: Sequence[str], size: Resized) -> None:
        """Starts the process.

        Args:
            arguments: of `charlm-tui`.
            size: of the terminal in the page.

        Raises:
            OSError: the system refuses another process.
        """
        async with self._starting:
            if self._stopping is not None:
                return
            self._size = size
            self._process = await start_relayed_child(
                "tui", *arguments, environment=page_environment(os.environ, size)
            )
            self._relays = [
                asyncio.create_task(self._relay_packets()),
                asyncio.create_task(self._relay_errors()),
            ]

    async def ended(self) -> None:
        """Waits until the process has ended and its output has been relayed."""
        if self._process is not None:
            await asyncio.wait(self._relays)  # gather would cancel them with the waiting task
            await self._process.wait()

    async def take(self, message: PageMessage) -> None:
        """Passes a message of the page to the process."""
        match message:
            case Typed(text=text):
                self._write(b"D", text.encode(errors="replace"))
                await asyncio.sleep(len(text) / TYPED_PER_SECOND)
            case Resized(columns=columns, rows=rows) if message != self._size:
                self._size = message
                self._ask(type="resize", width=columns, height=rows)
                await asyncio.sleep(SECONDS_BETWEEN_SIZES)
            case FocusChanged(now=now):
                self._ask(type=now)
            case Resized() | Ping():
                pass

    async def stop(self) -> None:
        """Asks the process to save and quit, as on a hang-up, and waits for its end."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        async with self._starting:
            process = self._process
        if process is None:
            return
        self._page_is_there = False
        end = asyncio.create_task(self.ended())
        self._ask(type="quit")
        await asyncio.wait([end], timeout=SECONDS_TO_QUIT)
        for send_signal in (process.terminate, process.kill):
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    send_signal()
                await asyncio.wait([end], timeout=SECONDS_TO_SAVE)
        end.cancel()
        if process.returncode:
            complain(f"a page's program {how_it_ended(process.returncode, '')}")

    # --- to the process ---------------------------------------------------------------------------

    def _ask(self, **words: str | int) -> None:
        self._write(b"M", json.dumps(words).encode())

    def _write(self, kind: bytes, payload: bytes) -> None:
        if self._process is None or self._process.stdin is None:
            return
        if self._process.stdin.transport.get_write_buffer_size() < MAX_UNREAD_BYTES:
            self._process.stdin.write(kind + len(payload).to_bytes(4, "big") + payload)

    # --- from the process -------------------------------------------------------------------------

    async def _relay_packets(self) -> None:
        """Relays output to the page; keeps reading without a page, so that the process can end."""
        assert self._process is not None
        output = self._process.stdout
        assert output is not None, "start_relayed_child asks for it"
        with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            await output.readuntil(PRELUDE)
            while True:
                kind = await output.readexactly(1)
                length = int.from_bytes(await output.readexactly(4), "big")
                if length > MAX_PACKET_BYTES:
                    return
                payload = await output.readexactly(length)
                if kind == b"D" and self._page_is_there:
                    await self._show(payload)

    async def _show(self, payload: bytes) -> None:
        try:
            await self._send(payload)
        except (OSError, RuntimeError):
            self._page_is_there = False

    async def _relay_errors(self) -> None:
        """Prints each line of the process's standard error in printable form."""
        assert self._process is not None
        errors = self._process.stderr
        assert errors is not None, "start_relayed_child asks for it"
        rest = b""
        while data := await errors.read(4096):
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-4096:]
            for line in lines:
                say(line.decode(errors="replace"))
        if rest:
            say(rest.decode(errors="replace"))


def say(line: str) -> None:
    """Prints a foreign line on the terminal that serves, if that still listens."""
    words = one_line(line, MAX_LINE_CHARACTERS)
    if words:
        with suppress(OSError, ValueError):
            print(words, flush=True)


def page_environment(environment: Mapping[str, str], size: Resized) -> dict[str, str]:
    """Returns the environment of a page's process."""
    mine = dict(environment)
    mine.pop("TEXTUAL_FPS", None)  # the app has an option for it
    return {
        **mine,
        "TEXTUAL_COLOR_SYSTEM": "truecolor",
        "TERM_PROGRAM": "textual",
        "TERM_PROGRAM_VERSION": version("textual-serve"),
        "COLUMNS": str(size.columns),
        "ROWS": str(size.rows),
        SERVED_BY: str(os.getpid()),
    }
