"""The lock of a run's folder: one process writes, as many as like read."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO

from model.errors import RunFolderError

try:
    import fcntl

    CAN_LOCK = True
except ImportError:  # no POSIX locks (Windows): two writers are then not told apart
    CAN_LOCK = False


class RunLock:
    """A lock that ends with its process, however that ends; the file names the holder."""

    def __init__(self, folder: Path) -> None:
        """Takes nothing yet."""
        self._folder = folder
        self._path = folder / ".lock"
        self._file: IO[bytes] | None = None

    def acquire(self) -> None:
        """Makes this process the only writer.

        Raises:
            RunFolderError: another process is it.
            OSError: the folder cannot be written, or its file system cannot lock.
        """
        file = self._path.open("a+b")
        try:
            if CAN_LOCK:
                self._take(file)
        except BaseException:
            file.close()
            raise
        self._file = file

    def release(self) -> None:
        """Lets others write."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def is_held(self) -> bool:
        """Whether some process writes at this moment."""
        if self._file is not None:
            return True
        if not CAN_LOCK:
            return False
        try:
            with self._path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def _take(self, file: IO[bytes]) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read(20).decode("ascii", "replace").strip()
            process = f"process {holder}" if holder.isdigit() else "another process"
            raise RunFolderError(
                str(self._folder),
                f"is in use by {process}",
                "wait for it to end, or start a run of another name",
            ) from error
        with contextlib.suppress(OSError):  # a full disk: the lock holds without a name
            file.truncate(0)
            file.write(f"{os.getpid()}\n".encode())
            file.flush()
