"""Receives the bytes of an address within a time limit, independently of the network's behaviour.

All of it, from the first look-up of a name over a proxy's tunnel and TLS to the last byte, happens
in a thread, and the reader waits for that thread until the time is over and no longer: a look-up
cannot be interrupted, and a proxy that drips is never silent. What is left of the thread ends when
its sockets are shut, or with the process. It knows no files.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

MAX_REDIRECTS: Final = 5
_PIECE_BYTES: Final = 1 << 20
_MAX_WAITING_PIECES: Final = 4
"""Maximum number of received pieces that wait for the reader."""
_LAST_WAIT: Final = 0.5
"""Seconds to wait for the end of the thread."""


class ReceiveError(Exception):
    """The network fails, or the answer is wrong. The message is a clause for a sentence."""


def receive(
    url: str,
    *,
    allows: Callable[[str], bool],
    read_seconds: float,
    whole_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[bytes, None, None]:
    """Yields the bytes of an answer as they come; closing the generator ends the transfer.

    Args:
        url: what to ask for.
        allows: whether an address may be asked, which a redirect may have named.
        read_seconds: longest silence of the other side.
        whole_seconds: longest time for all of it.
        clock: seconds, of any beginning.

    Raises:
        ReceiveError: there is no such answer, or it takes too long.
    """
    if not allows(url):
        raise ReceiveError("its address is not https")
    deadline = clock() + whole_seconds
    transfer = _Transfer(url, allows, read_seconds)
    try:
        while True:
            try:
                piece = transfer.pieces.get(timeout=max(0.0, deadline - clock()))
            except queue.Empty:
                piece = None
            if clock() >= deadline:
                raise ReceiveError(f"it took longer than {whole_seconds:g} s")
            if isinstance(piece, Exception):
                raise piece
            if not piece:
                return
            yield piece
    finally:
        transfer.end()


class _Transfer:
    """A thread that receives, its sockets, and what it has received; last comes an empty piece."""

    def __init__(self, url: str, allows: Callable[[str], bool], read_seconds: float) -> None:
        self.pieces: queue.Queue[bytes | ReceiveError] = queue.Queue(_MAX_WAITING_PIECES)
        self._url = url
        self._allows = allows
        self._read_seconds = read_seconds
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, name="download", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Ends the thread, or leaves it where it cannot be reached."""
        self._is_over.set()
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
        self._thread.join(_LAST_WAIT)

    def connect(self, *arguments: Any, **options: Any) -> socket.socket:
        """Makes a connection that can be shut from outside, before anything is sent on it."""
        connection = socket.create_connection(*arguments, **options)
        # A duplicate: TLS takes the original's descriptor over.
        duplicate = connection.dup()
        with self._lock:
            if self._is_over.is_set():
                duplicate.close()
                connection.close()
                raise TimeoutError
            self._sockets.append(duplicate)
        return connection

    def _run(self) -> None:
        try:
            for piece in self._answer():
                self._hand_over(piece)
            self._hand_over(b"")
        except ReceiveError as error:
            self._hand_over(error)
        except urllib.error.HTTPError as error:
            error.close()
            self._hand_over(ReceiveError(f"the server answered {error.code}"))
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._hand_over(ReceiveError(f"cannot be downloaded ({_short(error)})"))

    def _hand_over(self, piece: bytes | ReceiveError) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(queue.Full):
                self.pieces.put(piece, timeout=0.1)
                return

    def _answer(self) -> Iterator[bytes]:
        opener = urllib.request.build_opener(
            _Redirects(self._allows), _HTTPHandler(self), _HTTPSHandler(self)
        )
        request = urllib.request.Request(self._url, headers={"Accept-Encoding": "identity"})  # noqa: S310
        with opener.open(request, timeout=self._read_seconds) as response:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise ReceiveError("the server sent it compressed, which was not requested")
            # read1 returns what one receive brought.
            while not self._is_over.is_set() and (piece := response.read1(_PIECE_BYTES)):
                yield piece


def _short(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    text = getattr(reason, "verify_message", "") or getattr(reason, "strerror", "") or str(reason)
    return " ".join((text or type(reason).__name__).split())[:60]


class _HTTPHandler(urllib.request.HTTPHandler):
    def __init__(self, transfer: _Transfer) -> None:
        super().__init__()
        self._transfer = transfer

    def http_open(self, req: urllib.request.Request) -> Any:
        def connection(host: str, **options: Any) -> http.client.HTTPConnection:
            return _by(self._transfer, http.client.HTTPConnection(host, **options))

        return self.do_open(connection, req)


class _HTTPSHandler(urllib.request.HTTPSHandler):
    def __init__(self, transfer: _Transfer) -> None:
        super().__init__()
        self._transfer = transfer

    def https_open(self, req: urllib.request.Request) -> Any:
        def connection(host: str, **options: Any) -> http.client.HTTPConnection:
            return _by(self._transfer, http.client.HTTPSConnection(host, **options))

        return self.do_open(connection, req)


def _by(transfer: _Transfer, client: http.client.HTTPConnection) -> http.client.HTTPConnection:
    """Lets a client connect by a transfer; it calls this before a proxy's tunnel and before TLS."""
    client._create_connection = transfer.connect  # type: ignore[attr-defined]  # noqa: SLF001
    return client


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, and never to where the file may not come from."""

    max_redirections = MAX_REDIRECTS

    def __init__(self, allows: Callable[[str], bool]) -> None:
        self._allows = allows

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        target = urllib.parse.urljoin(req.full_url, headers.get("Location", ""))
        if not self._allows(target):
            fp.close()
            raise ReceiveError("the server redirects to an address that is not https")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
