"""One pinned file over HTTPS: either exactly the bytes that were expected, or nothing at all.

The answer is not trusted: its size is capped, its time is bounded, its hash is checked, and it
stands under its final name only when all of that is right. It knows addresses and files, not texts.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from corpus.access import CHUNK_BYTES, refusal
from corpus.atomic_file import put_in_place, sync_file, sync_folder
from corpus.cache import cache_refusal
from corpus.errors import DownloadError
from corpus.regular_file import require_regular_or_none
from corpus.removal import own_files, remove_file

if TYPE_CHECKING:
    from collections.abc import Iterator

READ_SECONDS = 10.0
"""Longest silence of the other side."""

WHOLE_SECONDS = 60.0
"""Longest time for all of it: a server that drips is not silent."""

MOST_REDIRECTS = 5

STALE_SECONDS = 3600.0
"""Age at which an unfinished file can only be that of a process that was killed."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedDownload:
    """A file that is known before it is fetched."""

    name: str
    """Its file name in the cache, and what messages call it."""

    url: str
    """An https address."""

    size: int
    """Bytes."""

    sha256: str
    """Hexadecimal digest of its bytes."""

    read_seconds: float = READ_SECONDS
    whole_seconds: float = WHOLE_SECONDS

    plain_loopback: bool = False
    """For tests: whether plain http is accepted too, from this machine only."""

    def allows(self, url: str) -> bool:
        """Whether this file may be fetched from `url`, which a redirect may have named."""
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "https":
            return True
        return self.plain_loopback and parts.scheme == "http" and parts.hostname in _LOOPBACK

    def is_in(self, folder: Path) -> bool:
        """Whether `folder` holds the file, whole and unchanged.

        Raises:
            CorpusAccessError: the file is there and cannot be read.
        """
        path = folder / self.name
        try:
            if not path.is_file():  # a named pipe would be waited for
                return False
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size != self.size:
                    return False
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise refusal(str(path), error) from None


def fetch(pinned: PinnedDownload, folder: Path) -> Iterator[int]:
    """Downloads into `folder`, yielding the bytes received so far after each piece.

    Closing the generator, like any exception, removes what was written so far. Two downloads at
    once do not disturb each other: each writes a file of its own and renames it.

    Raises:
        DownloadError: the network fails, or hands over something else.
        CorpusAccessError: the folder cannot be written to, or the disk is full.
    """
    path = folder / pinned.name
    temporary: Path | None = None
    try:
        with _disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
            require_regular_or_none(path)
            _remove_stale(folder, pinned.name)
            descriptor, name = tempfile.mkstemp(
                dir=folder, prefix=f".{pinned.name}.", suffix=".part"
            )
            temporary = Path(name)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            yield from _receive(pinned, file, folder)
            with _disk(folder):
                sync_file(file, path)
        with _disk(folder):
            put_in_place(temporary, path)
            temporary = None
            sync_folder(folder)
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                remove_file(temporary, _unfinished(pinned.name))


def refuse(pinned: PinnedDownload, cause: str) -> DownloadError:
    """Returns the error that says why there is no such text, and which one is always there."""
    return DownloadError(
        pinned.name.removesuffix(".txt"),
        cause,
        "use the text that needs no download: charlm-tui python-docs",
    )


def _receive(pinned: PinnedDownload, file: IO[bytes], folder: Path) -> Iterator[int]:
    digest = hashlib.sha256()
    received = 0
    for chunk in _body(pinned):
        received += len(chunk)
        if received > pinned.size:
            raise refuse(pinned, f"the server sent more than the {pinned.size:,} bytes it has")
        digest.update(chunk)
        with _disk(folder):
            file.write(chunk)
        yield received
    if received < pinned.size:
        raise refuse(pinned, f"the server sent {received:,} of {pinned.size:,} bytes")
    if digest.hexdigest() != pinned.sha256:
        raise refuse(pinned, "the server sent another text (its SHA-256 differs)")


def _body(pinned: PinnedDownload) -> Iterator[bytes]:
    """Yields the answer's bytes; every trouble of the network becomes a `DownloadError`."""
    deadline = _Deadline(pinned.whole_seconds)
    if not pinned.allows(pinned.url):
        raise refuse(pinned, "its address is not https")
    opener = urllib.request.build_opener(
        _Redirects(pinned), _WatchedHTTPHandler(deadline), _WatchedHTTPSHandler(deadline)
    )
    request = urllib.request.Request(pinned.url, headers={"Accept-Encoding": "identity"})  # noqa: S310
    try:
        with deadline, opener.open(request, timeout=pinned.read_seconds) as response:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise refuse(pinned, "the server sent it compressed, which was not asked for")
            # read1 returns what one receive brought: a dripping server cannot hold us inside.
            while chunk := response.read1(CHUNK_BYTES):
                yield chunk
                if deadline.passed:
                    break
        if deadline.passed:
            raise refuse(pinned, f"it took longer than {pinned.whole_seconds:g} s")
    except urllib.error.HTTPError as error:
        error.close()
        raise refuse(pinned, f"the server answered {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        if deadline.passed:
            raise refuse(pinned, f"it took longer than {pinned.whole_seconds:g} s") from None
        raise refuse(pinned, f"cannot be downloaded ({_short(error)})") from None


def _short(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    text = getattr(reason, "verify_message", "") or getattr(reason, "strerror", "") or str(reason)
    return " ".join((text or type(reason).__name__).split())[:60]


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cache_refusal(folder, error) from None


def _unfinished(name: str) -> re.Pattern[str]:
    """Returns what the unfinished files of a download are called: `tempfile` adds 8 characters."""
    return re.compile(rf"\.{re.escape(name)}\.[a-z0-9_]{{8}}\.part")


def _remove_stale(folder: Path, name: str) -> None:
    for path in own_files(folder, _unfinished(name)):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                remove_file(path, _unfinished(name))


class _Deadline:
    """Shuts the connections down when the time is over, wherever the reader waits then."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._shut)
        self._timer.daemon = True
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        for connection in self._sockets:
            connection.close()

    def watch(self, connection: socket.socket) -> None:
        # A duplicate: TLS takes the original's descriptor over.
        duplicate = connection.dup()
        with self._lock:
            self._sockets.append(duplicate)
        if self.passed:
            self._shut()

    def _shut(self) -> None:
        self.passed = True
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _WatchedConnection(http.client.HTTPConnection):
    """Tells the deadline about its socket; stands before the TLS connection in its bases' order."""

    deadline: _Deadline

    def connect(self) -> None:
        super().connect()
        self.deadline.watch(self.sock)


class _WatchedTLSConnection(http.client.HTTPSConnection, _WatchedConnection):
    """`HTTPSConnection.connect` calls the plain one first, which is the watched one here."""


class _WatchedHTTPHandler(urllib.request.HTTPHandler):
    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: urllib.request.Request) -> Any:
        def connection(host: str, **options: Any) -> http.client.HTTPConnection:
            watched = _WatchedConnection(host, **options)
            watched.deadline = self._deadline
            return watched

        return self.do_open(connection, req)


class _WatchedHTTPSHandler(urllib.request.HTTPSHandler):
    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def https_open(self, req: urllib.request.Request) -> Any:
        def connection(host: str, **options: Any) -> http.client.HTTPSConnection:
            watched = _WatchedTLSConnection(host, **options)
            watched.deadline = self._deadline
            return watched

        return self.do_open(connection, req)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, and never to where the file may not come from."""

    max_redirections = MOST_REDIRECTS

    def __init__(self, pinned: PinnedDownload) -> None:
        self._pinned = pinned

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        target = urllib.parse.urljoin(req.full_url, headers.get("Location", ""))
        if not self._pinned.allows(target):
            fp.close()
            raise refuse(self._pinned, "the server leads to an address that is not https")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
