"""Atomic writes by renaming: a reader sees the old content or the new one, never a part.

A temporary file has a short random name, so it fits beside the longest legal name. It is always
created and never opened, so a link of that name is not followed. No function here knows contents.
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
"""Names of temporary files: random, and ending in the ID of the writing process."""


def new_temporary_path(folder: Path) -> Path:
    """Returns a path in ``folder`` that no file has."""
    return folder / f".charlm-{secrets.token_hex(8)}{TEMPORARY_MARK}{os.getpid()}"


def create_temporary(folder: Path, mode: int = 0o666) -> tuple[Path, IO[bytes]]:
    """Creates an empty file with a new name in ``folder``; returns its path and the open file.

    Args:
        folder: an existing folder.
        mode: permissions before the umask. The default is that of any new file, not
            ``tempfile``'s 0600.

    Raises:
        OSError: the file system refuses.
    """
    path = new_temporary_path(folder)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFE_FLAGS
    return path, os.fdopen(os.open(path, flags, mode), "w+b")


def discard_temporary(path: Path) -> None:
    """Removes a temporary file if it exists and the file system allows it."""
    with contextlib.suppress(OSError):
        remove_file(path, TEMPORARY)


def put_in_place(written: Path, path: Path) -> None:
    """Renames ``written`` to ``path`` and replaces a regular file there.

    Raises:
        corpus.files.regular_file.NotRegularError: ``path`` is a link, a folder, a pipe or a device.
        OSError: the file system refuses; ``path`` is unchanged.
    """
    is_there = require_regular_or_none(path)
    try:
        os.replace(written, path)  # noqa: PTH105 - as one call with its errors
    except OSError as error:
        if not is_there or error.errno not in {*UNSUPPORTED, errno.EEXIST}:
            raise _about(path, error) from None
        _put_in_place_by_turns(written, path, error)


def _put_in_place_by_turns(written: Path, path: Path, refusal: OSError) -> None:
    """Moves the old file aside and the new one in; restores the old one on failure."""
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
    """Makes the data written to a file durable; notes once a file system that cannot do that.

    Args:
        file: a file that is open for writing.
        path: the path to name in a note.

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
    """Makes renames in a folder durable (POSIX); notes once a system that cannot do that.

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
    """Makes a new folder and its missing parents durably.

    Raises:
        FileExistsError: the folder exists already.
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
    """Returns the error with the path that the user knows, not the temporary one."""
    return OSError(error.errno, error.strerror, str(path))
