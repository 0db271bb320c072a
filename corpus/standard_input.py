"""Standard input as a document. It is read once and kept in an anonymous temporary file.

The descriptor is read directly, so that waiting for a slow pipe can be cancelled between chunks.
"""

from __future__ import annotations

import os
import select
import tempfile
from typing import TYPE_CHECKING

from corpus.document import Document
from corpus.errors import CorpusError
from corpus.files.access import CHUNK_BYTES, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

LABEL = "standard input"

MAX_PIPE_BYTES = 4 << 30
"""Maximum size of a text from a pipe, because the size of a pipe is not known in advance."""

PATIENCE_SECONDS = 0.1
"""Longest wait for the pipe before an empty chunk lets the reader cancel."""


class StandardInput:
    """The bytes of a descriptor: those read so far and those to come."""

    def __init__(self, descriptor: int = 0, *, max_bytes: int = MAX_PIPE_BYTES) -> None:
        self._descriptor = descriptor
        self._largest = max_bytes
        self._ended = False
        self._length = 0
        self._spool = tempfile.SpooledTemporaryFile(max_size=CHUNK_BYTES)  # noqa: SIM115

    def documents(self) -> Iterator[Document]:
        """Yields the one document."""
        yield Document(label=LABEL, chunks=self.chunks)

    def chunks(self) -> Iterator[bytes]:
        """Yields all bytes from the first one; yields an empty chunk while the pipe is silent.

        Raises:
            CorpusError: there is no standard input, or more of it than the limit.
            CorpusAccessError: reading it, or keeping it on the disk, fails.
        """
        position = 0
        while True:
            while position < self._length:
                self._spool.seek(position)
                chunk = self._spool.read(min(CHUNK_BYTES, self._length - position))
                position += len(chunk)
                yield chunk
            if self._ended:
                return
            try:
                if not self._take():
                    yield b""
            except OSError as error:
                raise refusal(LABEL, error) from None

    def _take(self) -> bool:
        """Moves bytes from the pipe to the spool; returns False if there are none yet."""
        if (
            os.name == "posix"
            and not select.select([self._descriptor], [], [], PATIENCE_SECONDS)[0]
        ):
            return False
        chunk = os.read(self._descriptor, CHUNK_BYTES)
        if not chunk:
            self._ended = True
            return True
        if self._length + len(chunk) > self._largest:
            size = f"{self._largest >> 30} GiB" if self._largest >> 30 else f"{self._largest} bytes"
            raise CorpusError(
                LABEL, f"has more than {size}", "put it into a file and name the file"
            )
        self._spool.seek(self._length)
        self._spool.write(chunk)
        self._length += len(chunk)
        return True
