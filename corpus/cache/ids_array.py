"""A growing array of ids: in memory while it is small, in an anonymous temporary file when large.

The file has no name (or loses it at once), so nothing is left behind even by a killed process; on
Linux it can be given one once it is complete. It knows numbers, not characters.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from corpus.files.cache_folder import cache_folder, cache_refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MAX_IDS_IN_MEMORY = 16 << 20
"""Maximum number of ids in memory; more ids are stored in a file."""

BLOCK_IDS = 1 << 20
"""Number of ids per block when all ids are read again."""


class IdStore:
    """Ids of one dtype, appended block by block. Always call `close`."""

    def __init__(self, dtype: np.dtype[Any], *, max_ids_in_memory: int = MAX_IDS_IN_MEMORY) -> None:
        self.dtype = dtype
        self._largest_in_memory = max_ids_in_memory
        self._blocks: list[NDArray[Any]] = []
        self._file: IO[bytes] | None = None
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def file(self) -> IO[bytes] | None:
        """The file that the ids are in, from its beginning; None while they are in memory."""
        return self._file

    def append(self, ids: NDArray[Any]) -> None:
        """Adds ids of shape (n,), converted to the store's dtype.

        Raises:
            CorpusAccessError: the disk is full or fails.
        """
        self._length += len(ids)
        block = ids.astype(self.dtype)
        if self._file is not None:
            self._write(block)
            return
        self._blocks.append(block)
        if self._length > self._largest_in_memory:
            self._file = _anonymous_file()
            for kept in self._blocks:
                self._write(kept)
            self._blocks.clear()

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yields the ids in order, in arrays of at most `BLOCK_IDS` (in memory: as appended)."""
        if self._file is None:
            yield from self._blocks
            return
        for start in range(0, self._length, BLOCK_IDS):
            yield self._read(start, min(BLOCK_IDS, self._length - start))

    def widened(self, dtype: np.dtype[Any]) -> IdStore:
        """Returns a store of the same ids in a wider dtype, and closes this one."""
        wider = IdStore(dtype, max_ids_in_memory=self._largest_in_memory)
        try:
            for block in self.blocks():
                wider.append(block)
        except BaseException:
            wider.close()
            raise
        finally:
            self.close()
        return wider

    def renumber(self, new_ids: NDArray[Any]) -> Iterator[float]:
        """Replaces every id `i` by `new_ids[i]` in place, yielding the done part after blocks."""
        new_ids = new_ids.astype(self.dtype)
        if self._file is None:
            for index, block in enumerate(self._blocks):
                self._blocks[index] = new_ids[block]
                yield (index + 1) / len(self._blocks)
            return
        for start in range(0, self._length, BLOCK_IDS):
            block = new_ids[self._read(start, min(BLOCK_IDS, self._length - start))]
            self._file.seek(start * self.dtype.itemsize)
            self._write(block)
            yield min(1.0, (start + BLOCK_IDS) / self._length)

    def array(self) -> NDArray[Any]:
        """Returns all ids, shape (length,), read-only; a memory map where they are in a file.

        Raises:
            CorpusAccessError: the disk is full or fails.
        """
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                raise cache_refusal(cache_folder(), error) from None
            return np.memmap(self._file, self.dtype, mode="r", shape=(self._length,))
        ids = np.concatenate(self._blocks) if self._blocks else np.empty(0, self.dtype)
        ids.flags.writeable = False
        return ids

    def close(self) -> None:
        """Releases memory and file; an array that was returned stays valid."""
        self._blocks.clear()
        self._length = 0
        if self._file is not None:
            self._file.close()

    def _read(self, start: int, count: int) -> NDArray[Any]:
        assert self._file is not None
        try:
            self._file.seek(start * self.dtype.itemsize)
            data = self._file.read(count * self.dtype.itemsize)
        except OSError as error:
            raise cache_refusal(cache_folder(), error) from None
        return np.frombuffer(data, self.dtype)

    def _write(self, block: NDArray[Any]) -> None:
        assert self._file is not None
        try:
            self._file.write(block.data)
        except OSError as error:
            raise cache_refusal(cache_folder(), error) from None


def _anonymous_file() -> IO[bytes]:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (flag := getattr(os, "O_TMPFILE", None)) is not None:
            # Not tempfile's own, which forbids (O_EXCL) to give the file a name later.
            with contextlib.suppress(OSError):
                return open(os.open(folder, flag | os.O_RDWR, 0o600), "w+b")  # noqa: PTH123
        return tempfile.TemporaryFile(dir=folder)
    except OSError:
        pass  # a home that cannot be written to is no reason not to read a text
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise cache_refusal(cache_folder(), error) from None
