"""Writing a file so that whoever reads it sees the old content or the new, never a part.

Knows nothing of what the bytes mean.
"""

from __future__ import annotations

import os
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
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


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
    stale = list(folder.glob(f".*{TEMPORARY_MARK}*"))
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)
