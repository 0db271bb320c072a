"""The only module that deletes. It deletes regular files with names that this program makes.

Each owner of files has a pattern of their names. A file of another name belongs to the user, and so
does every link. A test searches the source for other deletions.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from pathlib import Path


def own_files(folder: Path, names: re.Pattern[str]) -> list[Path]:
    """Returns the regular files in a folder whose full name matches, sorted; links are left out.

    The list is empty if the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(
                folder / entry.name
                for entry in entries
                if names.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            )
    except OSError:
        return []


def remove_file(path: Path, names: re.Pattern[str], *, folder: int | None = None) -> int:
    """Removes a file that this program made; returns its size in bytes.

    Returns 0 if the path is missing or not a regular file; it is then left unchanged.

    Args:
        path: the path of the file.
        names: the pattern of its owner's file names.
        folder: descriptor of the folder that a relative path starts from.

    Raises:
        ValueError: the name does not match, which is a defect of the caller.
        OSError: the file system refuses.
    """
    if not names.fullmatch(path.name):
        raise ValueError(f"{path.name!r} is not a name that this program makes")
    with contextlib.suppress(FileNotFoundError):
        status = os.stat(path, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            if folder is None:
                path.unlink()
            else:
                os.unlink(path, dir_fd=folder)
            return status.st_size
    return 0


def remove_folder(folder: Path) -> bool:
    """Removes a folder if it is empty; returns whether the folder is gone.

    Raises:
        OSError: the file system refuses, although the folder is empty.
    """
    try:
        folder.rmdir()
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            return False
        raise
    return True
