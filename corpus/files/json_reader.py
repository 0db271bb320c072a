"""Reads JSON from files with limits on size and depth, so that no file can exhaust the process.

Files of runs come from archives, other machines and interrupted programs. A link, a named pipe or
an oversized file is an error of that file. An endless line, or one with brackets nested a hundred
thousand deep, is skipped. This module knows no events.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any, Final, Self

from corpus.files.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_OBJECT_BYTES: Final = 32 << 20
"""Maximum size of a file with one object. A vocabulary of all of Unicode needs 20 MB."""
MAX_LINE_BYTES: Final = 1 << 20
"""Maximum size of a line; longer ones are skipped. A sample of 400 characters needs a few KB."""
MAX_LINES_BYTES: Final = 64 << 30
"""Maximum size of a file of lines: enough for ten lines a second for ten years."""
CHUNK_BYTES: Final = 64 << 10
TAIL_BYTES: Final = 64 << 10
"""Size of the first part that is read from the end of a file."""


class JsonError(OSError):
    """A file holds no JSON object, or is too large; `strerror` says which."""


def read_object(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file.

    Raises:
        OSError: the file is missing, not a regular file, too large, or holds no object.
            `strerror` says which, as a clause without a subject.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_OBJECT_BYTES:
            raise _unreadable(path, f"has {size:,} bytes, more than any that this program writes")
        pieces, left = [], MAX_OBJECT_BYTES
        while left > 0 and (piece := file.read(min(left, CHUNK_BYTES))):
            pieces.append(piece)
            left -= len(piece)
    try:
        value = json.loads(b"".join(pieces).decode())
    except RecursionError:
        raise _unreadable(path, "is nested too deeply") from None
    except ValueError:
        raise _unreadable(path, "is not JSON") from None
    if not isinstance(value, dict):
        raise _unreadable(path, "holds no JSON object")
    return value


def object_of(line: bytes) -> dict[str, Any] | None:
    """Returns the JSON object in a line; None if the line holds none."""
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(line.decode())
        if isinstance(value, dict):
            return value
    return None


class JsonLines:
    """A growing file of JSON lines; each read continues where the previous one ended."""

    def __init__(self, path: Path) -> None:
        """Reads nothing yet."""
        self.path = path
        self.offset = 0
        """Offset behind the last complete line that was read, bytes."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields the objects of new complete lines; skips lines without an object.

        Raises:
            OSError: for the reasons of `read_object`; a missing file is an error too.
        """
        for line in self.lines():
            record = object_of(line)
            if record is not None:
                yield record

    @classmethod
    def tails(cls, path: Path) -> Iterator[Self]:
        """Yields readers of the last lines of a file, each of a longer part than the one before.

        Raises:
            OSError: for the reasons of `read_object`.
        """
        length = TAIL_BYTES
        while True:
            tail = cls(path)
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                if length < size:
                    file.seek(size - length - 1)
                    end = file.read(length).find(b"\n")
                    tail.offset = size if end < 0 else size - length + end
            yield tail
            if length >= size:
                return
            length *= 16

    def lines(self) -> Iterator[bytes]:
        """Yields the new complete lines; a line that is too long is yielded empty.

        When a line is yielded, ``offset`` is behind it. A last line without a line feed is not
        complete.

        Raises:
            OSError: for the reasons of `read_object`.
        """
        with open_regular(self.path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_LINES_BYTES:
                raise _unreadable(self.path, f"has {size:,} bytes, too many to be read")
            # A resumed run truncates its record; lines that were read are not read again.
            self.offset = min(self.offset, size)
            file.seek(self.offset)
            partial_line, length = bytearray(), 0
            while chunk := file.read(CHUNK_BYTES):
                *ends, rest = chunk.split(b"\n")
                for end in ends:
                    length += len(end)
                    line = bytes(partial_line + end) if length <= MAX_LINE_BYTES else b""
                    self.offset += length + 1
                    partial_line.clear()
                    length = 0
                    yield line
                length += len(rest)
                if length <= MAX_LINE_BYTES:
                    partial_line += rest
                else:
                    partial_line.clear()


def _unreadable(path: Path, cause: str) -> JsonError:
    return JsonError(0, cause, str(path))
