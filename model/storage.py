"""Writing a file so that whoever reads it sees the old content or the new, never a part.

Knows nothing of what the bytes mean.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

TEMPORARY_MARK = ".tmp-"


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces ``path`` by ``data``, durably.

    The bytes go to a temporary name in the same folder (renaming across folders could copy), are
    fsynced, renamed, and the folder is fsynced, for a rename that is only in memory is lost with
    the power. The file gets the mode that any new file gets, not ``tempfile``'s 0600.

    Raises:
        OSError: the file system refuses; ``path`` is as it was and no temporary file is left.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY_MARK}{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong first is what is to be said
            temporary.unlink()
        raise
    sync_folder(path.parent)


def append_whole(path: Path, data: bytes) -> None:
    """Appends to a file; where there is no room for all of it, nothing of it stays.

    Without that the next line would be glued to the half one, and both be lost.

    Raises:
        OSError: the file system refuses; the file is as it was.
    """
    with path.open("ab", buffering=0) as file:
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
    """Tries whether a file of ``size`` bytes can be written in ``folder``; leaves nothing there.

    Raises:
        OSError: it cannot: no permission, no room, a quota, a limit on the size of files.
    """
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    probe = folder / f".probe{TEMPORARY_MARK}{os.getpid()}"
    try:
        with probe.open("wb") as file:
            if hasattr(os, "posix_fallocate"):  # quotas and limits are not told by free space
                os.posix_fallocate(file.fileno(), 0, max(1, size))
            else:
                file.write(b"\0")
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def cut_off(path: Path, end: int) -> None:
    """Shortens a file to its first ``end`` bytes, durably.

    Raises:
        OSError: the file system refuses.
    """
    with path.open("r+b") as file:
        file.truncate(end)
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Makes renames within ``folder`` durable, where the system can (POSIX)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_stale_temporaries(folder: Path) -> int:
    """Deletes what interrupted writes left in ``folder``; returns how many files that were.

    Call it only while no other process can be writing there.
    """
    stale = [path for path in folder.glob(f".*{TEMPORARY_MARK}*") if not path.is_dir()]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)
