"""The cache of encoded texts. A stamp of the source files finds a text; its SHA-256 names it.

In `texts/` of the cache folder, `<sha256 of the text>.ids` holds the ids, and small records named
after a stamp (see `stamp`) lead to it. If the texts would take more than `$CHARLM_CACHE_LIMIT`, the
least recently used ones are removed. A process that has mapped a removed file can use it to the
end. If the cache cannot be written, the text is encoded each time.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from corpus.cache.ids_file import BLOCK_BYTES, KeptText, check_file, complete_file, describe_file
from corpus.errors import CorpusError
from corpus.files.atomic_file import (
    TEMPORARY,
    create_temporary,
    discard_temporary,
    new_temporary_path,
    put_in_place,
)
from corpus.files.cache_folder import cache_folder
from corpus.files.json_reader import read_object
from corpus.files.missing_guarantees import UNSUPPORTED, note_missing
from corpus.files.regular_file import NotRegularError, open_regular
from corpus.files.removal import own_files, remove_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corpus.cache.fingerprint import Stamp
    from corpus.corpus import Corpus

DEFAULT_LIMIT = 8 << 30
"""Maximum total size of the encoded texts, bytes, if `$CHARLM_CACHE_LIMIT` is not set."""
LIMIT_VARIABLE = "CHARLM_CACHE_LIMIT"
SECONDS_UNTIL_STALE = 3600.0
"""Minimum age of an unfinished file whose process was killed, seconds."""
_IDS, _RECORD = ".ids", ".json"
IDS_FILES = re.compile(r"[0-9a-f]{64}\.ids")
RECORD_FILES = re.compile(r"[0-9a-f]{64}\.json")
UNFINISHED_FILES = re.compile(
    rf"{TEMPORARY.pattern}|[0-9a-f]{{64}}\.(?:ids|json)\.tmp-\d+-[0-9a-f]{{8}}"
)
"""Names of temporary files, including those of versions up to 0.1."""
OWN_FILES = re.compile(
    "|".join(names.pattern for names in (IDS_FILES, RECORD_FILES, UNFINISHED_FILES))
)
"""Names of all files that this cache makes. Any other file in its folder is the user's."""
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedText:
    """One encoded text in the cache."""

    name: str
    """Name of the source that the text was first read from."""
    characters: int
    size: int
    """Size on the disk, bytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CacheHit:
    """An encoded text from the cache, with the notes that were made when it was read."""

    text: KeptText
    notes: tuple[str, ...]


def texts_folder() -> Path:
    """Returns the folder of the encoded texts, which may not exist yet."""
    return cache_folder() / "texts"


def cache_limit() -> int:
    """Returns the maximum total size in bytes: `$CHARLM_CACHE_LIMIT`, or 8 GiB if it is not set.

    Raises:
        CorpusError: the variable does not hold a size.
    """
    setting = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not setting:
        return DEFAULT_LIMIT
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", setting, re.IGNORECASE)
    if match is None:
        raise CorpusError(
            f"${LIMIT_VARIABLE}", f"{setting[:40]!r} is not a size", "give one such as 500M or 20G"
        )
    return int(float(match[1]) * _UNITS[match[2].upper()])


def find_text(stamp: Stamp) -> Generator[float, None, CacheHit | None]:
    """Finds and checks the encoded text of a stamp; yields the fraction that has been checked.

    A damaged file is removed. Returns None if there is no usable text.
    """
    folder = texts_folder()
    try:
        record = read_object(folder / f"{stamp.key}{_RECORD}")
        name, notes = str(record["sha256"]), tuple(map(str, record["notes"]))
        path = folder / f"{name}{_IDS}"
        text: KeptText | None = None
        with open_regular(path) as file:
            size = max(1, os.fstat(file.fileno()).st_size)
            for block, text in enumerate(check_file(file)):  # noqa: B007 - the last is the text
                yield min(1.0, block * BLOCK_BYTES / size)
        if text is None or text.sha256 != name:
            remove_file(path, IDS_FILES)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # marks the use: file systems often do not keep access times
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return CacheHit(text=text, notes=notes)


def keep_text(file: IO[bytes], corpus: Corpus, stamp: Stamp) -> Iterator[None]:
    """Puts an encoded text into the cache; yields after each part of the work.

    Nothing is kept if the text would not fit or the disk refuses.

    Args:
        file: holds the ids that `corpus.ids` maps; it is completed and linked to its name.
        corpus: the text as it was read.
        stamp: the stamp of its files.
    """
    folder, limit = texts_folder(), cache_limit()
    if corpus.ids.nbytes > limit:
        return
    path = folder / f"{corpus.sha256}{_IDS}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield from complete_file(
            file,
            corpus.ids,
            vocabulary=corpus.vocabulary,
            sha256=corpus.sha256,
            name=corpus.name,
        )
        _make_room(folder, limit - os.fstat(file.fileno()).st_size, path)
        yield from _give_name(file, path)
        record = json.dumps({"sha256": corpus.sha256, "notes": list(corpus.notes)})
        _write_whole(folder / f"{stamp.key}{_RECORD}", record.encode())
    except OSError as error:
        if error.errno in {*UNSUPPORTED, errno.EEXIST} or isinstance(error, NotRegularError):
            note_missing("cache", folder, error)


def cached_texts() -> list[CachedText]:
    """Returns the cached texts, largest first."""
    texts = []
    for path in own_files(texts_folder(), IDS_FILES):
        description = describe_file(path) or {}
        with contextlib.suppress(OSError):
            texts.append(
                CachedText(
                    name=str(description.get("name", "damaged")),
                    characters=int(description.get("characters", 0)),
                    size=path.stat().st_size,
                )
            )
    return sorted(texts, key=lambda text: -text.size)


def clear_texts() -> int:
    """Removes all encoded texts; returns the number of bytes freed.

    Raises:
        OSError: a file cannot be removed.
    """
    return sum(remove_file(path, OWN_FILES) for path in own_files(texts_folder(), OWN_FILES))


def _make_room(folder: Path, room: int, but: Path) -> None:
    """Removes least recently used texts until the others take at most `room` bytes.

    Args:
        folder: the folder of the cache.
        room: the allowed total size, bytes.
        but: the file that will be replaced, which does not count.
    """
    kept = []
    for path in own_files(folder, IDS_FILES):
        with contextlib.suppress(OSError):
            status = path.stat()
            if path != but:
                kept.append((status.st_mtime_ns, status.st_size, path))
    used = sum(size for _, size, _ in kept)
    for _, size, path in sorted(kept):
        if used <= room:
            break
        with contextlib.suppress(OSError):
            remove_file(path, IDS_FILES)
            used -= size
    _remove_leftovers(folder, but)


def _remove_leftovers(folder: Path, but: Path) -> None:
    """Removes unfinished files of killed processes, and records whose text is missing."""
    for path in own_files(folder, UNFINISHED_FILES):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > SECONDS_UNTIL_STALE:
                remove_file(path, UNFINISHED_FILES)
    for record in own_files(folder, RECORD_FILES):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            leads_to = folder / f"{read_object(record)['sha256']}{_IDS}"
            if leads_to != but and not leads_to.exists():
                remove_file(record, RECORD_FILES)


def _give_name(file: IO[bytes], path: Path) -> Iterator[None]:
    """Links an unnamed file to its path atomically, and replaces any file that is there."""
    temporary = _linked(file, path.parent)
    try:
        if temporary is None:
            temporary, copy = create_temporary(path.parent)
            with copy:
                yield from _copy(file, copy)
        put_in_place(temporary, path)
    finally:
        if temporary is not None:
            discard_temporary(temporary)


def _linked(file: IO[bytes], folder: Path) -> Path | None:
    """Links an unnamed file to a temporary path; returns None if the system cannot do that."""
    temporary = new_temporary_path(folder)
    try:
        # Python follows the link only with a folder descriptor, although the path is absolute.
        root = os.open("/", os.O_RDONLY)
        try:
            source = f"/proc/self/fd/{file.fileno()}"
            os.link(source, temporary, src_dir_fd=root, follow_symlinks=True)
        finally:
            os.close(root)
    except (OSError, NotImplementedError):
        return None
    return temporary


def _copy(file: IO[bytes], copy: IO[bytes]) -> Iterator[None]:
    file.seek(0)
    while block := file.read(BLOCK_BYTES):
        copy.write(block)
        yield


def _write_whole(path: Path, data: bytes) -> None:
    temporary, file = create_temporary(path.parent)
    try:
        with file:
            file.write(data)
        put_in_place(temporary, path)
    finally:
        discard_temporary(temporary)
