"""The file in which an encoded text is kept: ids first, then what is known of them.

Layout: the ids; zeros up to a multiple of 8 bytes; the sum of each block of 4 MiB, as uint64; a
description in JSON; and a tail of fixed size with a digest of sums and description. Every byte is
covered, so a file that was cut short, half written or damaged is noticed when it is opened. The
sums are plain additions: they find accidents at the speed of memory, and no forgery.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from corpus.cache.mmap_pages import release_pages
from corpus.files.regular_file import open_regular
from corpus.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

BLOCK_BYTES = 4 << 20
_WORD = 8
_MAGIC = b"charlmT1"
_TAIL = struct.Struct("<QQ32s8s")
"""Size of the padded ids, size of the description, digest, magic."""
_MAX_DESCRIPTION_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptText:
    """An encoded text that was found whole."""

    ids: NDArray[Any]
    """Shape (characters,), a read-only memory map."""

    vocabulary: Vocabulary
    """The text's own."""

    sha256: str
    """Of the text, as in `Corpus`."""

    name: str
    """Of the source that it was first read from, for display."""


def complete_file(
    file: IO[bytes], ids: NDArray[Any], *, vocabulary: Vocabulary, sha256: str, name: str
) -> Iterator[None]:
    """Writes after the ids, which the file holds already, what the file needs besides them.

    Yields after each block.

    Args:
        file: is left flushed.
        ids: the memory map of the file's beginning.
        vocabulary: what they mean.
        sha256: digest of the text.
        name: of the source.

    Raises:
        OSError: the disk is full or fails.
    """
    file.seek(ids.nbytes)
    file.write(bytes(-ids.nbytes % _WORD))
    file.flush()
    padded = ids.nbytes + -ids.nbytes % _WORD
    sums = np.empty(_blocks(padded), "<u8")
    words = np.memmap(file, "<u8", mode="r", shape=(padded // _WORD,))
    for place, total in enumerate(_sums(words)):
        sums[place] = total
        yield
    description = {
        "characters": len(ids),
        "dtype": ids.dtype.str,
        "symbols": "".join(vocabulary.symbols),
        "sha256": sha256,
        "name": name,
    }
    body = sums.tobytes() + json.dumps(description).encode()
    file.seek(padded)
    file.write(body)
    length = len(body) - sums.nbytes
    file.write(_TAIL.pack(padded, length, hashlib.sha256(body).digest(), _MAGIC))
    file.flush()


def describe_file(path: Path) -> dict[str, Any] | None:
    """Returns a kept file's description; None where the file is damaged or cannot be read."""
    try:
        with open_regular(path) as file:
            found = _read_end(file)
    except OSError:
        return None
    return None if found is None else found[0]


def check_file(file: IO[bytes]) -> Iterator[KeptText | None]:
    """Checks every byte; yields None after each block, and at last the text if it is whole.

    Nothing is yielded after the block at which a damage shows.

    Raises:
        OSError: the disk fails.
    """
    found = _read_end(file)
    if found is None:
        return
    description, sums, padded = found
    try:
        vocabulary = Vocabulary(tuple(description["symbols"]))
        dtype, characters = np.dtype(description["dtype"]), int(description["characters"])
        sha256, name = str(description["sha256"]), str(description["name"])
    except (KeyError, TypeError, ValueError):
        return
    if dtype != vocabulary.dtype or characters < 1:
        return
    if characters * dtype.itemsize + -(characters * dtype.itemsize) % _WORD != padded:
        return
    words = np.memmap(file, "<u8", mode="r", shape=(padded // _WORD,))
    for expected, total in zip(sums, _sums(words), strict=True):
        if expected != total:
            return
        yield None
    ids = np.memmap(file, dtype, mode="r", shape=(characters,))
    yield KeptText(ids=ids, vocabulary=vocabulary, sha256=sha256, name=name)


def _blocks(size: int) -> int:
    return -(-size // BLOCK_BYTES)


def _sums(words: NDArray[np.uint64]) -> Iterator[np.uint64]:
    per_block = BLOCK_BYTES // _WORD
    for start in range(0, len(words), per_block):
        yield np.add.reduce(words[start : start + per_block])
        release_pages(words)


def _read_end(file: IO[bytes]) -> tuple[dict[str, Any], NDArray[np.uint64], int] | None:
    """Returns description, sums, and the size of the padded ids; None where they are damaged."""
    size = file.seek(0, os.SEEK_END)
    if size < _TAIL.size:
        return None
    file.seek(size - _TAIL.size)
    padded, length, digest, magic = _TAIL.unpack(file.read(_TAIL.size))
    before = size - _TAIL.size - length
    if magic != _MAGIC or length > _MAX_DESCRIPTION_BYTES:
        return None
    if padded % _WORD or before != padded + _WORD * _blocks(padded):
        return None
    file.seek(padded)
    body = file.read(size - _TAIL.size - padded)
    if hashlib.sha256(body).digest() != digest:
        return None
    sums = np.frombuffer(body[: before - padded], "<u8")
    try:
        description = json.loads(body[before - padded :])
    except (ValueError, RecursionError):
        return None
    return (description, sums, padded) if isinstance(description, dict) else None
