"""The app in a browser: a page, and for each time it is opened a process of the app of its own.

The page and the protocol are those of textual-serve. Ours are: a process without a shell, so that
no argument is read twice; pages of other origins are turned away, for any of them can reach a
loopback port through the browser; and an end that waits until each process has saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.web_runner import GracefulExit
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from tui.exit_status import PROGRAM
from tui.terminal.entrance import SERVED_BY, WEB_DRIVER

SECONDS_TO_SAVE: Final = 45.0
"""For a process of the app, from being told to quit; it gives its own workers 30."""
SECONDS_TO_SETTLE: Final = 0.5
"""Before and after all processes were told to quit, for what else is under way."""
SECONDS_TO_OBEY: Final = 5.0
"""From SIGTERM to SIGKILL, which nothing of ours should ever need."""


def is_loopback(host: str) -> bool:
    """Tells whether only programs of this machine can reach a host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class PageProcess(AppService):
    """One process of the app and what it shows."""

    arguments: Sequence[str] = ()

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        environment = self._build_environment(width=width, height=height)
        del environment["TEXTUAL_FPS"]  # 60 there; the app has an option of its own
        environment["TEXTUAL_DRIVER"] = WEB_DRIVER
        environment[SERVED_BY] = str(os.getpid())
        process = await asyncio.create_subprocess_exec(
            *own_command(), *self.arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment,
            start_new_session=True,  # a Ctrl-C is the server's, which lets everybody save
        )  # fmt: skip
        self._process, self._stdin = process, process.stdin
        return process

    async def ended(self) -> None:
        """Waits until the process shows nothing more."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Tells the process to save and quit as on a hang-up, and sees it to its end."""
        process = self._process
        if process is None:
            return
        try:
            await asyncio.wait_for(super().stop(), SECONDS_TO_SAVE)
            await asyncio.wait_for(process.wait(), SECONDS_TO_SAVE)
        except (TimeoutError, ConnectionError):
            for end in (process.terminate, process.kill):
                with contextlib.suppress(ProcessLookupError, TimeoutError):
                    end()
                    await asyncio.wait_for(process.wait(), SECONDS_TO_OBEY)


class PageServer(Server):
    """Serves the page on one address until a signal ends it."""

    def __init__(self, arguments: Sequence[str], host: str, port: int) -> None:
        """Does not listen yet.

        Args:
            arguments: of the app.
            host: address or name to listen on.
            port: to listen on.
        """
        shown = f"[{host}]" if ":" in host else host
        super().__init__(
            PROGRAM,
            host=host,
            port=port,
            title=PROGRAM,
            public_url=f"http://{shown}:{port}",
            templates_path=Path(__file__).with_name("web"),
        )
        self.received: int | None = None
        """The signal that ended it."""
        self._arguments = arguments
        self._processes: set[PageProcess] = set()

    def serve(self, debug: bool = False) -> None:  # noqa: ARG002 - as inherited
        """Serves until SIGINT, SIGTERM or SIGHUP; then all processes have saved and ended.

        Raises:
            OSError: the address cannot be listened on.
        """
        loop = asyncio.new_event_loop()
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                with contextlib.suppress(NotImplementedError):
                    loop.add_signal_handler(number, self._end, int(number))
        web.run_app(
            self._make_app(), host=self.host, port=self.port, handle_signals=False, loop=loop,
            print=self._say_where, shutdown_timeout=SECONDS_TO_SETTLE, access_log=None,
        )  # fmt: skip

    def _end(self, number: int) -> None:
        if self.received is None:
            self.received = number
            raise GracefulExit

    async def on_startup(self, app: web.Application) -> None:
        """Says nothing yet: nobody is listening."""

    def _say_where(self, *_words: object) -> None:
        print(f"{PROGRAM}: open {self.public_url} in a browser; Ctrl-C ends it", flush=True)

    async def on_shutdown(self, app: web.Application) -> None:  # noqa: ARG002 - as inherited
        """Lets every process save."""
        await asyncio.gather(*(process.stop() for process in list(self._processes)))

    async def handle_index(self, request: web.Request) -> Any:
        """Returns the page, which asks for the rest at the address that it was asked for at."""
        self._require_own(request)
        self.public_url = f"http://{request.host}"
        return await super().handle_index(request)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Runs a process of the app for as long as the page is open, or until the app ends."""
        self._require_own(request)
        websocket = web.WebSocketResponse(heartbeat=15)
        await websocket.prepare(request)
        process = PageProcess(
            self.command,
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=partial(_close, websocket),
            download_manager=self.download_manager,
        )
        process.arguments = self._arguments
        self._processes.add(process)
        try:
            width, height = (to_int(request.query.get(side, ""), default)
                             for side, default in (("width", 80), ("height", 24)))  # fmt: skip
            await process.start(width, height)
            closing = asyncio.ensure_future(_close_after(process, websocket))
            try:
                await self._process_messages(websocket, process)
            finally:
                closing.cancel()
        finally:
            await asyncio.shield(process.stop())
            self._processes.discard(process)
        return websocket

    def _require_own(self, request: web.Request) -> None:
        """Turns away what a page from elsewhere asks for, under whatever name of this machine.

        Raises:
            HTTPForbidden: it is not our own page that asks.
        """
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="asked for by a page from elsewhere")
        name = urlsplit(f"//{request.host}").hostname or ""
        if is_loopback(self.host) and not is_loopback(name):
            raise web.HTTPForbidden(text="asked for under a name that is not this machine's own")


async def _close(websocket: web.WebSocketResponse) -> None:
    await websocket.close()


async def _close_after(process: PageProcess, websocket: web.WebSocketResponse) -> None:
    """Closes the page's connection once the process is over, also where it never began."""
    await process.ended()
    await websocket.close()


def own_command() -> list[str]:
    """Returns what starts this very program again."""
    script = Path(sys.argv[0])
    if script.name == PROGRAM and script.is_file():
        return [sys.executable, str(script.absolute())]
    return [sys.executable, "-m", "tui"]
