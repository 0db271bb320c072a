"""Writes the files of a run so that a full disk or a power cut leaves no partial file.

This module does not know what the bytes mean. It refuses links and everything else that is not a
regular file, because a run's folder may come from an archive.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from pathlib import Path

from corpus.files.atomic_file import (
    TEMPORARY,
    create_temporary,
    discard_temporary,
    put_in_place,
    sync_file,
    sync_folder,
)
from corpus.files.missing_guarantees import UNSUPPORTED, note_missing
from corpus.files.regular_file import (
    NotRegularError,
    open_regular,
    open_to_append,
    require_regular_or_none,
)
from corpus.files.removal import own_files, remove_file
from model.errors import CheckpointError, RunFolderError

TEMPORARY_FILES = re.compile(
    rf"{TEMPORARY.pattern}|\.(?:step-\d{{8,}}\.safetensors|run\.json|probe)\.tmp-\d+"
)
"""Names of files that an interrupted write leaves, including those of versions up to 0.1."""


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces the content of ``path`` durably.

    The bytes are written to a temporary file in the same folder, because renaming across folders
    can copy. The file is synced and renamed. Then the folder is synced, because a power cut would
    otherwise lose the rename.

    Raises:
        OSError: the file system refuses, or ``path`` is not a regular file. ``path`` is unchanged,
            and no temporary file is left. The error names ``path``.
    """
    require_regular_or_none(path)
    try:
        temporary, file = create_temporary(path.parent)
        try:
            with file:
                file.write(data)
                sync_file(file, path)
            put_in_place(temporary, path)
        except BaseException:
            discard_temporary(temporary)
            raise
        sync_folder(path.parent)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def append_whole(path: Path, data: bytes) -> None:
    """Appends to a file; if there is not enough room, nothing is appended.

    Otherwise the next line would continue an unfinished one, and both would be lost.

    Raises:
        OSError: the file system refuses, or the path is not a regular file. The file is unchanged.
    """
    with open_to_append(path) as file:
        end = file.seek(0, os.SEEK_END)
        left = memoryview(data)
        try:
            while left:
                left = left[file.write(left) :]
        except BaseException:
            with contextlib.suppress(OSError):
                file.truncate(end)
            raise


def require_room(folder: Path, size: int) -> None:
    """Checks that a file of ``size`` bytes can be written in ``folder``; leaves no file there.

    Raises:
        OSError: permission, room, a quota or a limit on the size of files is missing.
    """
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    probe, file = create_temporary(folder)
    try:
        with file:
            if hasattr(os, "posix_fallocate"):  # free space does not include quotas and limits
                _reserve(file.fileno(), max(1, size), folder)
            else:
                file.write(b"\0")
    finally:
        discard_temporary(probe)


def _reserve(descriptor: int, size: int, folder: Path) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        note_missing("reservation", folder, error)


def cut_off(path: Path, end: int) -> None:
    """Shortens a file to its first ``end`` bytes, durably.

    Raises:
        OSError: the file system refuses, or the path is not a regular file.
    """
    with open_regular(path, os.O_RDWR) as file:
        file.truncate(end)
        sync_file(file, path)


def remove_stale_temporaries(folder: Path) -> int:
    """Deletes what interrupted writes left in ``folder``; returns the number of files.

    Call this only while no other process can write there.

    Raises:
        OSError: a file cannot be removed.
    """
    stale = own_files(folder, TEMPORARY_FILES)
    for path in stale:
        remove_file(path, TEMPORARY_FILES)
    return len(stale)


def not_writable(path: Path, error: OSError) -> RunFolderError:
    """Returns the error of a run whose folder or file cannot be written."""
    if isinstance(error, NotRegularError):
        remedy = "remove it, or name another folder with --checkpoints"
        return RunFolderError(str(error.filename), error.strerror or "", remedy)
    return RunFolderError(
        str(path),
        f"cannot be written ({error.strerror})",
        "check its permissions, or name another folder with --checkpoints",
    )


def not_readable(path: Path, error: OSError) -> CheckpointError:
    """Returns the error of a file of a run that cannot be read."""
    return CheckpointError(
        str(path), f"cannot be read ({error.strerror})", "move it out of the run's folder"
    )
