"""Standard input as a document: read once, kept in an anonymous temporary file, readable again.

It reads the descriptor itself, so that a wait for a slow pipe can be given up between two chunks.
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
"""More than this is not taken from a pipe, whose size nobody knows beforehand."""

PATIENCE_SECONDS = 0.1
"""How long a wait for the pipe lasts before the reader is asked whether it still wants the text."""


class StandardInput:
    """What has come out of a descriptor so far, and what is still in it."""

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
        """Yields all bytes from the first one on; an empty chunk while the pipe is silent.

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
        """Moves what the pipe holds to the spool; False where it is silent."""
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
