"""A web server on this machine that answers as a test tells it to."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator

Handler = http.server.BaseHTTPRequestHandler
Reply = Callable[[Handler], None]


class LocalServer(http.server.ThreadingHTTPServer):
    """Answers every request by `reply`; `stopped` frees a reply that would go on for ever."""

    daemon_threads = True

    def __init__(self, reply: Reply) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.reply = reply
        self.stopped = threading.Event()
        self.requests = 0
        self.headers: list[dict[str, str]] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/text"

    def handle_error(self, *_: object) -> None:
        pass


class _Answer(http.server.BaseHTTPRequestHandler):
    server: LocalServer

    def do_GET(self) -> None:
        self.server.requests += 1
        self.server.headers.append(dict(self.headers))
        self.server.reply(self)

    def do_CONNECT(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(reply: Reply, context: ssl.SSLContext | None = None) -> Iterator[LocalServer]:
    """Serves while it is entered; with a context, by TLS."""
    with LocalServer(reply) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.stopped.set()
            server.shutdown()
            thread.join()


def answer(body: bytes, status: int = 200, **headers: str) -> Reply:
    """Returns a reply of these bytes; underlines in the names of headers stand for hyphens."""

    def reply(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply
