"""Reads JSON from files, bounded in every way: no file can cost more than a look.

Files of runs come from archives, other machines and interrupted programs. A link, a named pipe, a
file of another size than any of ours, a line without an end, brackets nested a hundred thousand
deep: each is an error of that file, or a line that is left out. It knows no events.
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
"""Of a file that holds one object: a vocabulary of every character there is needs 20 MB."""
MAX_LINE_BYTES: Final = 1 << 20
"""Of a line; longer ones are left out. A sample of 400 characters needs a few kilobytes."""
MAX_LINES_BYTES: Final = 64 << 30
"""Of a file of lines: ten a second for ten years."""
CHUNK_BYTES: Final = 64 << 10
TAIL_BYTES: Final = 64 << 10
"""Of the end of a file, where only its last lines count."""


class JsonError(OSError):
    """A file holds no JSON object, or is larger than any of ours; `strerror` says which."""


def read_object(path: Path) -> dict[str, Any]:
    """Returns the JSON object that a file holds.

    Raises:
        OSError: the file is missing, no regular file, too large, or holds something else;
            `strerror` says what, as a clause without a subject.
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
        found = json.loads(b"".join(pieces).decode())
    except RecursionError:
        raise _unreadable(path, "is nested too deeply") from None
    except ValueError:
        raise _unreadable(path, "is not JSON") from None
    if not isinstance(found, dict):
        raise _unreadable(path, "holds no JSON object")
    return found


def object_of(line: bytes) -> dict[str, Any] | None:
    """Returns the JSON object of a line; None for a line that makes no sense."""
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(line.decode())
        if isinstance(found, dict):
            return found
    return None


class JsonLines:
    """A file of JSON lines that may grow, read from where the last look ended."""

    def __init__(self, path: Path) -> None:
        """Reads nothing yet."""
        self.path = path
        self.offset = 0
        """Where the whole lines end that were read, in bytes."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields the objects of the whole lines that are new; lines without one are left out.

        Raises:
            OSError: as `read_object`; a file that is not there is an error, too.
        """
        for line in self.lines():
            found = object_of(line)
            if found is not None:
                yield found

    @classmethod
    def tails(cls, path: Path) -> Iterator[Self]:
        """Yields a reader of the lines near the end of a file, then of longer and longer parts.

        Raises:
            OSError: as `read_object`.
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
        """Yields the whole lines that are new; one that is too long is yielded empty.

        ``offset`` is behind a line once it is yielded. A last line without an end is not whole.

        Raises:
            OSError: as `read_object`.
        """
        with open_regular(self.path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_LINES_BYTES:
                raise _unreadable(self.path, f"has {size:,} bytes, too many to be read")
            # A run that is resumed cuts off what was lost; what was read stays read.
            self.offset = min(self.offset, size)
            file.seek(self.offset)
            begun, length = bytearray(), 0
            while chunk := file.read(CHUNK_BYTES):
                *ends, rest = chunk.split(b"\n")
                for end in ends:
                    length += len(end)
                    line = bytes(begun + end) if length <= MAX_LINE_BYTES else b""
                    self.offset += length + 1
                    begun.clear()
                    length = 0
                    yield line
                length += len(rest)
                if length <= MAX_LINE_BYTES:
                    begun += rest
                else:
                    begun.clear()


def _unreadable(path: Path, cause: str) -> JsonError:
    return JsonError(0, cause, str(path))
