"""Opens files in untrusted folders: regular files only, never a link.

An archive can hold a link or a named pipe under any name. Writing through the link would destroy
its target, and opening the pipe would block for ever.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_KINDS: Final = (
    (stat.S_ISLNK, "is a symbolic link, not a regular file"),
    (stat.S_ISDIR, "is a folder, not a file"),
    (stat.S_ISFIFO, "is a named pipe, not a regular file"),
    (stat.S_ISSOCK, "is a socket, not a regular file"),
    (stat.S_ISCHR, "is a device, not a regular file"),
    (stat.S_ISBLK, "is a device, not a regular file"),
)
SAFE_FLAGS: Final = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a named pipe must not block
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class NotRegularError(OSError):
    """The path is a link, a pipe, a folder or a device; `strerror` says which."""


def kind_of(mode: int) -> str | None:
    """Returns the kind of file that a mode describes, in words; None for a regular file."""
    return next((words for is_kind, words in _KINDS if is_kind(mode)), None)


def require_regular_or_none(path: Path) -> bool:
    """Returns whether the path is a regular file.

    Raises:
        NotRegularError: the path is something else, such as a link.
        OSError: the path cannot be examined.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    _refuse(path, mode)
    return True


def open_regular(path: Path, flags: int = os.O_RDONLY, mode: int = 0o666) -> IO[bytes]:
    """Opens a regular file without following a link and without waiting; unbuffered.

    Args:
        path: the path of the file.
        flags: flags for ``os.open``; ``SAFE_FLAGS`` are added.
        mode: permissions of a created file, before the umask.

    Raises:
        NotRegularError: the path is something else, such as a link; nothing was changed.
        OSError: the file system refuses.
    """
    try:
        descriptor = os.open(path, flags | SAFE_FLAGS, mode)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR}:
            require_regular_or_none(path)  # says what it is
        raise
    try:
        _refuse(path, os.fstat(descriptor).st_mode)
        python_mode = {os.O_RDONLY: "rb", os.O_WRONLY: "wb", os.O_RDWR: "r+b"}
        access = flags & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
        return os.fdopen(descriptor, python_mode[access], buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def open_to_append(path: Path) -> IO[bytes]:
    """Opens a regular file or a new one for appending; raises the errors of `open_regular`."""
    return open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def _refuse(path: Path, mode: int) -> None:
    words = kind_of(mode)
    if words is not None:
        raise NotRegularError(0, words, str(path))
