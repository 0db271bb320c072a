"""The only place where this program deletes: regular files, by the names that it makes itself.

Each owner of files has a pattern of their names. What lies in a folder but has another name is the
user's, and so is a link, whatever its name. A test looks through the source for other deletes.
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
    """Returns the regular files of a folder whose whole name matches, sorted; links are left out.

    A folder that cannot be read has none.
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
    """Removes a file that this program made; returns how many bytes it had.

    A name that is not there, or that belongs to no regular file, is left alone and counts 0.

    Args:
        path: of the file.
        names: what its owner's files are called.
        folder: descriptor of the folder that a relative path begins in.

    Raises:
        ValueError: the name is none of these, which is a defect of the caller.
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
    """Removes a folder if it is empty; returns whether it is gone.

    Raises:
        OSError: the file system refuses, for another reason than what is in it.
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
