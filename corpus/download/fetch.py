"""One pinned file over HTTPS: either exactly the bytes that were expected, or nothing at all.

The answer is not trusted: its size is capped, its time is bounded, its hash is checked, and it
stands under its final name only when all of that is right. It knows addresses and files, not texts.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from corpus.download.receiver import ReceiveError, receive
from corpus.errors import DownloadError
from corpus.files.access import refusal
from corpus.files.atomic_file import put_in_place, sync_file, sync_folder
from corpus.files.cache_folder import cache_refusal
from corpus.files.regular_file import require_regular_or_none
from corpus.files.removal import own_files, remove_file

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

READ_SECONDS = 10.0
"""Longest silence of the other side."""

WHOLE_SECONDS = 60.0
"""Longest time for all of it: a server that drips is not silent."""

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

    Closing the generator, like any exception, removes the unfinished file. Two downloads at once
    do not interfere, because each writes a separate file and renames it.

    Raises:
        DownloadError: the network fails, or the server sends another file.
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
        "use the text that needs no download: charlm-tui python-prose",
    )


def _receive(pinned: PinnedDownload, file: IO[bytes], folder: Path) -> Iterator[int]:
    digest = hashlib.sha256()
    received = 0
    with contextlib.closing(_body(pinned)) as body:
        for chunk in body:
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


def _body(pinned: PinnedDownload) -> Generator[bytes, None, None]:
    """Yields the answer's bytes; every trouble of the network becomes a `DownloadError`."""
    pieces = receive(
        pinned.url,
        allows=pinned.allows,
        read_seconds=pinned.read_seconds,
        whole_seconds=pinned.whole_seconds,
    )
    with contextlib.closing(pieces):
        try:
            yield from pieces
        except ReceiveError as error:
            raise refuse(pinned, str(error)) from None


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
