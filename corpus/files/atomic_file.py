"""Writing beside a file and renaming: who reads it sees the old content or the new, never a part.

A temporary file has a short random name, so it fits beside the longest legal name, and it is
created, never opened: a link that waits under its name is not followed. It knows no contents.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from typing import IO, TYPE_CHECKING, Final

from corpus.files.missing_guarantees import UNSUPPORTED, note_missing
from corpus.files.regular_file import SAFE_FLAGS, require_regular_or_none
from corpus.files.removal import remove_file

if TYPE_CHECKING:
    from pathlib import Path

TEMPORARY_MARK: Final = ".tmp-"
TEMPORARY: Final = re.compile(r"\.charlm-[0-9a-f]{16}\.tmp-\d+")
"""Names of temporary files: random, and ending in the number of the process that writes."""


def new_temporary_path(folder: Path) -> Path:
    """Returns a path in ``folder`` that no file has."""
    return folder / f".charlm-{secrets.token_hex(8)}{TEMPORARY_MARK}{os.getpid()}"


def create_temporary(folder: Path, mode: int = 0o666) -> tuple[Path, IO[bytes]]:
    """Creates an empty file of a new name in ``folder``; returns its path, and it open to write.

    Args:
        folder: must exist.
        mode: before the user's mask; by default that of any new file, not ``tempfile``'s 0600.

    Raises:
        OSError: the file system refuses.
    """
    path = new_temporary_path(folder)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFE_FLAGS
    return path, os.fdopen(os.open(path, flags, mode), "w+b")


def discard_temporary(path: Path) -> None:
    """Removes a temporary file if it is there, as far as the file system lets it."""
    with contextlib.suppress(OSError):
        remove_file(path, TEMPORARY)


def put_in_place(written: Path, path: Path) -> None:
    """Renames ``written`` to ``path``, in the place of a regular file that may be there.

    Raises:
        corpus.files.regular_file.NotRegularError: ``path`` is a link, a folder, a pipe or a device.
        OSError: the file system refuses; ``path`` is as it was.
    """
    is_there = require_regular_or_none(path)
    try:
        os.replace(written, path)  # noqa: PTH105 - as one call with its errors
    except OSError as error:
        if not is_there or error.errno not in {*UNSUPPORTED, errno.EEXIST}:
            raise _about(path, error) from None
        _put_in_place_by_turns(written, path, error)


def _put_in_place_by_turns(written: Path, path: Path, refusal: OSError) -> None:
    """Moves the old file aside, the new one in, and back where that fails."""
    aside = new_temporary_path(path.parent)
    try:
        path.rename(aside)
    except OSError:
        raise _about(path, refusal) from None
    try:
        written.rename(path)
    except OSError as error:
        aside.rename(path)
        raise _about(path, error) from None
    discard_temporary(aside)
    note_missing("replacement", path.parent, refusal)


def sync_file(file: IO[bytes], path: Path) -> None:
    """Makes what was written to a file durable; a file system that cannot is noted, once.

    Args:
        file: open to write.
        path: what a note says.

    Raises:
        OSError: the disk is full or fails.
    """
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        note_missing("sync", path.parent, error)


def sync_folder(folder: Path) -> None:
    """Makes renames within a folder durable (POSIX); a system that cannot is noted, once.

    Raises:
        OSError: the disk fails.
    """
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        note_missing("sync", folder, error)


def make_folder(folder: Path) -> None:
    """Makes a new folder and those above it that are missing, durably.

    Raises:
        FileExistsError: it is there.
        OSError: the file system refuses.
    """
    missing = [folder]
    while not missing[-1].parent.exists() and missing[-1].parent != missing[-1]:
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        each.mkdir(exist_ok=each is not folder)
    for each in missing:
        sync_folder(each.parent)


def _about(path: Path, error: OSError) -> OSError:
    """Returns the error as one of the file that the user knows, without the temporary's name."""
    return OSError(error.errno, error.strerror, str(path))
