"""The lock of a run's folder: one process writes, and any number of processes read.

A writer holds an exclusive lock on ``.lock``. A check takes a shared lock for an instant. A writer
that meets only shared locks tries again, so that a check never stops it. Other accounts cannot open
the file (mode 600), because they could lock it for ever.
"""

from __future__ import annotations

import contextlib
import os
import platform
import random
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from corpus.files.atomic_file import create_temporary, discard_temporary
from corpus.files.missing_guarantees import LOCKS_UNSUPPORTED, note_missing
from corpus.files.regular_file import open_regular
from model.errors import RunFolderError

try:
    import fcntl

    CAN_LOCK = True
except ImportError:  # Windows has no POSIX locks: a second writer is not detected
    CAN_LOCK = False

NAME: Final = ".lock"
TURN_NAME: Final = ".lock-turn"
"""Locked while a process replaces a lock file that others hold shared without end."""
_PRIVATE: Final = 0o600
_OTHERS: Final = 0o077
_SECONDS_FOR_LOOKS: Final = 2.0
"""How long a writer retries against shared locks; a check takes microseconds."""
_MAX_PAUSE: Final = 0.01
"""Maximum delay between two tries, seconds. The delay is random, so that two writers separate."""
_SIGNATURE: Final = re.compile(r"(\d{1,10})(?: ([\w.-]{1,64}))?", re.ASCII)
_MAX_SIGNATURE_BYTES: Final = 80
_MAX_TRIES: Final = 100
"""Attempts to lock a file whose folder other processes keep replacing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockHolder:
    """The process that holds a lock, as the lock's file names it."""

    process: int
    host: str | None
    """Name of its machine; None if an older version of this program has written the file."""


class RunLock:
    """A lock that the system releases when its process ends. The file names the holder."""

    def __init__(self, folder: Path) -> None:
        """Locks nothing yet."""
        self._folder = folder
        self._path = folder / NAME
        self._file: IO[bytes] | None = None

    def acquire(self) -> None:
        """Makes this process the only writer.

        Raises:
            RunFolderError: another process writes.
            FileNotFoundError: the folder does not exist (any more).
            OSError: the folder cannot be written, or its ``.lock`` is no regular file.
        """
        if self._file is not None:
            raise self._refusal(self._file)
        for _ in range(_MAX_TRIES):
            file = open_regular(self._path, os.O_RDWR | os.O_CREAT, _PRIVATE)
            try:
                if not CAN_LOCK or self._take(file):
                    self._file = self._made_private(file)
                    self._sign(self._file)
                    return
            finally:
                if self._file is not file:
                    file.close()
        raise RunFolderError(str(self._folder), "is created and removed repeatedly", "try again")

    def release(self) -> None:
        """Lets other processes write."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def is_in_place(self) -> bool:
        """Returns whether the locked file still has its name in the folder."""
        return self._file is not None and self._is_named(self._file)

    def is_held(self) -> bool | None:
        """Returns whether a process writes now; None if that cannot be known."""
        if self._file is not None:
            return True
        if not CAN_LOCK:
            return None
        try:
            with open_regular(self._path) as file:
                return not _try(file, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False
        except OSError as error:
            self._note(error)
            return None

    def holder(self) -> LockHolder | None:
        """Returns the process that the file names; None if the file names none, or is unreadable.

        The name stays in the file when the process has ended: ``is_held`` tells whether it writes.
        """
        try:
            with open_regular(self._path) as file:
                return _holder(file)
        except OSError:
            return None

    def _take(self, file: IO[bytes]) -> bool:
        """Locks the file, despite shared locks; returns False if the name has another file now.

        Raises:
            RunFolderError: another process writes.
        """
        deadline = time.monotonic() + _SECONDS_FOR_LOOKS
        try:
            while not _try(file, fcntl.LOCK_EX):
                if not _try(file, fcntl.LOCK_SH):
                    if self._is_named(file):
                        raise self._refusal(file)
                    return False
                if time.monotonic() > deadline:
                    self._replace(file)
                    return False
                fcntl.flock(file, fcntl.LOCK_UN)
                time.sleep(random.uniform(0, _MAX_PAUSE))  # noqa: S311 - no secret
        except OSError as error:
            if not self._note(error):
                raise
            return True
        return self._is_named(file)

    def _is_named(self, file: IO[bytes]) -> bool:
        """Returns whether the file still has its name: another process may delete the run."""
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(file.fileno()), os.lstat(self._path))
        return False

    def _replace(self, looked_at: IO[bytes]) -> None:
        """Replaces a lock file that other processes hold shared without end.

        The caller holds the old file shared, so no process can become its writer. If several
        processes call this, only the first one replaces the file.
        """
        turn = self._path.with_name(TURN_NAME)
        with open_regular(turn, os.O_RDWR | os.O_CREAT, _PRIVATE) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if self._is_named(looked_at):
                temporary, new = create_temporary(self._folder, _PRIVATE)
                new.close()
                temporary.replace(self._path)

    def _made_private(self, file: IO[bytes]) -> IO[bytes]:
        """Returns the locked file, or a new one that replaces it if other accounts may open it."""
        if not os.fstat(file.fileno()).st_mode & _OTHERS:
            return file
        try:
            temporary, new = create_temporary(self._folder, _PRIVATE)
        except OSError:  # a full disk: the lock holds nevertheless
            return file
        try:
            if CAN_LOCK:
                _try(new, fcntl.LOCK_EX)
            temporary.replace(self._path)
        except OSError:
            new.close()
            discard_temporary(temporary)
            with contextlib.suppress(OSError, AttributeError):
                os.fchmod(file.fileno(), _PRIVATE)
            return file
        return new

    def _refusal(self, file: IO[bytes]) -> RunFolderError:
        holder = _holder(file)
        process = "another process" if holder is None else f"process {holder.process}"
        return RunFolderError(
            str(self._folder),
            f"is in use by {process}",
            "wait for it to end, or start a run of another name",
        )

    def _sign(self, file: IO[bytes]) -> None:
        with contextlib.suppress(
            OSError
        ):  # a full disk: the lock holds without the number of its process
            file.seek(0)
            file.truncate(0)
            file.write(f"{os.getpid()} {platform.node()}\n".encode())
            file.flush()

    def _note(self, error: OSError) -> bool:
        """Returns whether an error says that the file system has no locks, and notes that."""
        if error.errno not in LOCKS_UNSUPPORTED:
            return False
        note_missing("lock", self._folder, error)
        return True


def _holder(file: IO[bytes]) -> LockHolder | None:
    """Returns the process that a lock's file names; None if the file names none."""
    file.seek(0)
    line = file.read(_MAX_SIGNATURE_BYTES).decode("ascii", "replace")
    match = _SIGNATURE.fullmatch(line.strip())
    return match and LockHolder(process=int(match[1]), host=match[2])


def _try(file: IO[bytes], how: int) -> bool:
    """Tries to lock a file without waiting; returns whether that succeeded."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
