"""Reads plain files, and describes the operating system's errors about a path in words.

This module knows bytes and `OSError`s; `decoding` decides whether the bytes are text.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from corpus.errors import CorpusAccessError, CorpusError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK_BYTES = 1 << 20
"""Bytes per read: large enough to be fast, small enough to cancel between two reads."""

MAX_TEXT_BYTES = 64 << 30
"""Texts above this size are refused before they are read (a sparse file can claim terabytes)."""

MAX_SUBJECT_CHARACTERS = 90
"""Number of characters that a message shows of a path that is too long."""

_KINDS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a named pipe, not a regular file"),
    (stat.S_ISSOCK, "is a socket, not a regular file"),
    (stat.S_ISCHR, "is a device, not a regular file"),
    (stat.S_ISBLK, "is a device, not a regular file"),
)


def refusal(subject: str, error: OSError) -> CorpusError:
    """Returns an error that states why the system refused to read `subject`."""
    if error.errno == errno.ENOENT:
        return CorpusError(subject, "no such file", "check the name")
    if error.errno == errno.ENOTDIR:
        return CorpusError(subject, "no such file: a part of the path is a file", "check the path")
    if error.errno == errno.ELOOP:
        return CorpusError(
            subject, "too many levels of symbolic links", "name the file that they should lead to"
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return CorpusAccessError(subject, "permission denied", "make it readable for this user")
    if error.errno == errno.ENAMETOOLONG:
        half = MAX_SUBJECT_CHARACTERS // 2
        is_short = len(subject) <= MAX_SUBJECT_CHARACTERS
        short = subject if is_short else f"{subject[:half]}…{subject[-half:]}"
        return CorpusAccessError(short, "file name too long", "give it a shorter name")
    cause = (error.strerror or type(error).__name__).lower()
    return CorpusAccessError(subject, cause, "check the disk and try again")


def require_regular(subject: str, status: os.stat_result) -> None:
    """Raises `CorpusError` unless `status` is that of a regular file of an acceptable size."""
    for is_kind, cause in _KINDS:
        if is_kind(status.st_mode):
            raise CorpusError(
                subject, cause, "give a text file or a folder, or pipe the text into '-'"
            )
    require_size(subject, status.st_size)


def require_size(subject: str, size: int) -> None:
    """Raises `CorpusError` if `size` exceeds the maximum size of a text, bytes."""
    if size > MAX_TEXT_BYTES:
        limit = MAX_TEXT_BYTES >> 30
        raise CorpusError(
            subject, f"has {size:,} bytes, more than {limit} GiB", "give a part of it"
        )


def read_chunks(path: Path, subject: str) -> Iterator[bytes]:
    """Yields the bytes of a regular file, up to its size when it was opened.

    The reads are plain reads into private memory, so a file that is truncated meanwhile never
    causes a bus error. A file that grows during reading (a log) ends at its first size.

    Raises:
        CorpusError: the path is not a regular file.
        CorpusAccessError: the system refuses to open or read it.
    """
    try:
        # O_NONBLOCK: opening must not hang if a named pipe has replaced the file.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
    except OSError as error:
        raise refusal(subject, error) from None
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
        status = os.fstat(descriptor)
        require_regular(subject, status)
        left = status.st_size
        while left > 0:
            try:
                chunk = file.read(min(left, CHUNK_BYTES))
            except OSError as error:
                raise refusal(subject, error) from None
            if not chunk:
                return
            left -= len(chunk)
            yield chunk
