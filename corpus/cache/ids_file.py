"""The file of an encoded text: the ids, their checksums and a description.

Layout: the ids; zeros up to a multiple of 8 bytes; the sum of each block of 4 MiB, as uint64; a
description in JSON; and a tail of fixed size with a digest of sums and description. The sums and
the digest cover every byte, so a check detects a truncated, incomplete or damaged file. The sums
are plain additions. They detect accidents at the speed of memory, but not forgery.
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
"""Fields of the tail: bytes of padded ids, bytes of description, digest, magic."""
_MAX_DESCRIPTION_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptText:
    """An encoded text whose file is undamaged."""

    ids: NDArray[Any]
    """Shape (characters,), a read-only memory map."""

    vocabulary: Vocabulary
    """Vocabulary of the text."""

    sha256: str
    """Digest of the text, as in `Corpus`."""

    name: str
    """Name of the source that the text was first read from, for display."""


def complete_file(
    file: IO[bytes], ids: NDArray[Any], *, vocabulary: Vocabulary, sha256: str, name: str
) -> Iterator[None]:
    """Appends checksums, description and tail to a file that holds the ids.

    Yields after each block.

    Args:
        file: holds the ids; it is flushed at the end.
        ids: a memory map of the start of the file.
        vocabulary: the vocabulary of the ids.
        sha256: digest of the text.
        name: the name of the source.

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
    """Returns the description in a file; None if the file is damaged or unreadable."""
    try:
        with open_regular(path) as file:
            footer = _read_footer(file)
    except OSError:
        return None
    return None if footer is None else footer[0]


def check_file(file: IO[bytes]) -> Iterator[KeptText | None]:
    """Checks every byte; yields None after each block, and the text at the end.

    Stops without the text at the first damaged block.

    Raises:
        OSError: the disk fails.
    """
    footer = _read_footer(file)
    if footer is None:
        return
    description, sums, padded = footer
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


def _read_footer(file: IO[bytes]) -> tuple[dict[str, Any], NDArray[np.uint64], int] | None:
    """Returns the description, the block sums and the padded size of the ids; None if damaged."""
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
