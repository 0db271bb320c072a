"""Serves the app as a web page and starts one process of the app for each opened page.

The terminal in the page is textual-serve's script. This server answers only requests with the token
of the printed link (`tui.web.admission`), and limits its input. It ends after every process has
saved. All links in the page are relative, so a proxy can serve the page under any path.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import SplitResult, urlencode

import textual_serve
from aiohttp import WSMsgType, web

from tui.console.exit_status import PROGRAM, complain
from tui.terminal.ending_signals import ending_signals
from tui.web.admission import LINK_NEEDED, Admission, Visit
from tui.web.links import links
from tui.web.page_message import Ping, page_message, size_asked_for
from tui.web.page_process import PageProcess

MAX_MESSAGE_BYTES: Final = 1 << 18
"""Maximum size of one message from a page; the longest messages are pastes."""
MAX_CONNECTIONS: Final = 250
"""Maximum number of connections, including those without a request yet."""
SECONDS_TO_ASK: Final = 10.0
"""Time limit for a connection's first admitted request; after it the connection is closed."""
SECONDS_TO_SETTLE: Final = 0.5
"""Time for connections to close by themselves when the server ends."""
SECONDS_TO_TRY_AGAIN: Final = 3
STARTS_PER_PAGE: Final = 6
"""Maximum process starts per minute and allowed page: a person does not open pages faster."""

HERE: Final = Path(__file__).parent
STATIC: Final = Path(str(textual_serve.__file__)).with_name("static")
HEADERS: Final = {
    "Server": PROGRAM,
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Settings of the server: the program, the address and the limits."""

    arguments: Sequence[str]
    """Arguments of the program behind each page."""
    host: str
    port: int
    token: str
    public_urls: Sequence[SplitResult] = ()
    """Addresses of proxies in front of the server."""
    max_pages: int = 8
    """Maximum number of pages that are open at the same time."""


class PageServer:
    """Serves the page on one address until a signal ends it."""

    def __init__(
        self, settings: ServeSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepares the server; it listens once `serve` is called."""
        self._settings = settings
        self._admission = Admission(
            token=settings.token, host=settings.host, public_urls=settings.public_urls
        )
        self._clock = clock
        self._cookie = f"{PROGRAM}-{settings.port}"
        self._page = Template((HERE / "page.html").read_text(encoding="utf-8"))
        self._processes: set[PageProcess] = set()
        self._starts: deque[float] = deque()
        self._silent: set[object] = set()
        """Connections without an admitted request so far."""
        self._received: asyncio.Future[int] | None = None

    def serve(self) -> int:
        """Serves until SIGINT, SIGTERM or SIGHUP; returns after all processes have saved and ended.

        Returns:
            The signal.

        Raises:
            OSError: the server cannot listen on the address.
        """
        # Evaluated before asyncio installs its own handler for SIGINT.
        return asyncio.run(self._serve(ending_signals()))

    async def _serve(self, signals: tuple[int, ...]) -> int:
        loop = asyncio.get_running_loop()
        self._received = loop.create_future()
        for number in signals:
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, self._end, number)
        for name in ("aiohttp", "asyncio"):
            logging.getLogger(name).handlers = [_OneLine(logging.ERROR)]
            logging.getLogger(name).propagate = False
        runner = web.AppRunner(
            self._application(), access_log=None, shutdown_timeout=SECONDS_TO_SETTLE
        )
        await runner.setup()
        assert runner.server is not None, "made by setup"
        answer = runner.server

        def connection() -> asyncio.Protocol:
            """Returns the protocol for a new connection."""
            if len(answer.connections) >= MAX_CONNECTIONS:
                return _TurnedAway()
            protocol: asyncio.Protocol = answer()
            self._silent.add(protocol)
            loop.call_later(SECONDS_TO_ASK, self._close_silent, protocol)
            return protocol

        try:
            server = await loop.create_server(
                connection, self._settings.host.strip("[]"), self._settings.port
            )
            self._say_where()
            number = await self._received
            server.close()
            await asyncio.gather(*(process.stop() for process in list(self._processes)))
        finally:
            await runner.cleanup()
        return number

    def _end(self, number: int) -> None:
        if self._received is not None and not self._received.done():
            self._received.set_result(number)

    def _close_silent(self, protocol: asyncio.Protocol) -> None:
        if protocol in self._silent:
            self._silent.discard(protocol)
            protocol.force_close()  # type: ignore[attr-defined]

    def _say_where(self) -> None:
        settings = self._settings
        addresses = links(settings.host, settings.port, settings.token, settings.public_urls)
        print(f"{PROGRAM}: open {' or '.join(addresses)} in a browser; Ctrl-C ends it", flush=True)

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._admit])
        application.add_routes(
            [
                web.get("/", self._index),
                web.get("/page.js", self._script),
                web.get("/ws", self._websocket),
                web.static("/static", STATIC),
            ]
        )
        application.on_response_prepare.append(_add_headers)
        return application

    # --- who may ask ------------------------------------------------------------------------------

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers admitted requests; exchanges a link with the token for a cookie."""
        query_token = request.query.get("token")
        visit = Visit(
            host=request.headers.get("Host", ""),
            origin=request.headers.get("Origin"),
            arrived_at=_local_address(request),
            token=request.cookies.get(self._cookie, "") if query_token is None else query_token,
        )
        refusal = self._admission.refusal(visit)
        if refusal is not None:
            return self._refused(request, refusal)
        self._silent.discard(request.protocol)
        if query_token is None or request.path != "/":
            return await handler(request)
        wished = {"fontsize": request.query["fontsize"]} if "fontsize" in request.query else {}
        answer = web.Response(
            status=303, headers={"Location": f"./?{urlencode(wished)}".rstrip("?")}
        )
        answer.set_cookie(
            self._cookie,
            query_token,
            httponly=True,
            samesite="Strict",
            path="/",
            secure=self._admission.is_public_https(visit.host),
        )
        return answer

    def _refused(self, request: web.Request, reason: str) -> web.Response:
        """Returns a response that states why a request is refused.

        After a link on another site, a browser omits the cookie from its next request
        (`SameSite=Strict`). The returned page reloads itself once, and then the cookie is sent.
        """
        again = reason == LINK_NEEDED and request.path == "/" and not request.query_string
        headers = {"Refresh": "0; url=./?again"} if again else {}
        return web.Response(status=403, text=f"{reason}\n", headers=headers)

    def _require_room(self) -> None:
        """Refuses a page if too many are open or were opened.

        Raises:
            HTTPServiceUnavailable: the maximum number of pages is open, or the server is ending.
            HTTPTooManyRequests: too many pages were opened within a minute.
        """
        headers = {
            "Refresh": str(SECONDS_TO_TRY_AGAIN),
            "Retry-After": str(SECONDS_TO_TRY_AGAIN),
        }
        if self._received is not None and self._received.done():
            raise web.HTTPServiceUnavailable(text="This server is shutting down.\n")
        most = self._settings.max_pages
        if len(self._processes) >= most:
            raise web.HTTPServiceUnavailable(
                text=f"The maximum number of pages is open ({most}, --max-pages). This page tries "
                "again by itself.\n",
                headers=headers,
            )
        while self._starts and self._starts[0] <= self._clock() - 60:
            self._starts.popleft()
        if len(self._starts) >= STARTS_PER_PAGE * most:
            raise web.HTTPTooManyRequests(
                text="Too many pages were opened. This page tries again by itself.\n",
                headers=headers,
            )

    # --- what is answered -------------------------------------------------------------------------

    async def _index(self, request: web.Request) -> web.Response:
        """Returns the page; `?fontsize=` sets the font size in pixels."""
        self._require_room()
        asked = request.query.get("fontsize", "")
        size = int(asked) if asked.isascii() and asked.isdigit() and len(asked) <= 2 else 16
        text = self._page.substitute(font_size=max(4, size))
        return web.Response(text=text, content_type="text/html")

    async def _script(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(HERE / "page.js")

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        """Runs a process of the app until the page closes or the app ends."""
        self._require_room()
        self._starts.append(self._clock())
        websocket = web.WebSocketResponse(
            heartbeat=15, max_msg_size=MAX_MESSAGE_BYTES, compress=False
        )
        process = PageProcess(websocket.send_bytes)
        self._processes.add(process)
        try:
            await websocket.prepare(request)
            size = size_asked_for(request.query.get("width", ""), request.query.get("height", ""))
            await process.start(self._settings.arguments, size)
            closing = asyncio.create_task(_close_after(process, websocket))
            try:
                await _hand_on(websocket, process)
            finally:
                closing.cancel()
        finally:
            await asyncio.shield(self._stop(process))
        return websocket

    async def _stop(self, process: PageProcess) -> None:
        try:
            await process.stop()
        finally:
            self._processes.discard(process)


class _OneLine(logging.Handler):
    """Logs a failure in one line, where the libraries would print a traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        complain(f"{record.getMessage()}{f': {error!r}' if error else ''}")


class _TurnedAway(asyncio.Protocol):
    """Closes a connection at once, because there are too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def _hand_on(websocket: web.WebSocketResponse, process: PageProcess) -> None:
    """Passes on the page's messages until it closes; ignores invalid ones."""
    async for received in websocket:
        message = page_message(received.data) if received.type is WSMsgType.TEXT else None
        if isinstance(message, Ping):
            await websocket.send_json(["pong", message.word])
        elif message is not None:
            await process.take(message)


async def _close_after(process: PageProcess, websocket: web.WebSocketResponse) -> None:
    """Closes the page's connection after the process has ended or failed to start."""
    await process.ended()
    await websocket.close()


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Adds the headers of every response."""
    response.headers.update(HEADERS)
    kept = request.path.startswith("/static/") and response.status == 200
    response.headers["Cache-Control"] = "private, max-age=3600" if kept else "no-store"


def _local_address(request: web.Request) -> str:
    """Returns the local address of a request's connection."""
    name = request.get_extra_info("sockname")
    return str(name[0]) if name else ""
