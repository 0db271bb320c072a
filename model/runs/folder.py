"""The folder of one run: who may write it, what the run is, and its creation and deletion.

Torch-free, so that ``runs`` and ``generate`` start quickly. A folder has one `CheckpointStore` and
one `RunRecord`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corpus.files.atomic_file import make_folder
from corpus.files.json_reader import read_object
from corpus.files.json_text import json_text
from corpus.files.regular_file import NotRegularError, require_regular_or_none
from corpus.files.removal import own_files, remove_file, remove_folder
from model.errors import CheckpointError, ConfigError, RunFolderError
from model.runs.checkpoint_store import CheckpointStore
from model.runs.file_names import (
    DESCRIPTION_NAME,
    FIXED_NAMES,
    LAST_DELETED,
    NAMES_BEFORE_FIRST_CHECKPOINT,
    RUN_FILES,
    UNSAVED_FILES,
    bad_run_name,
    check_run_name,
    may_be_run,
    was_never_saved,
)
from model.runs.lock import NAME as LOCK_NAME
from model.runs.lock import RunLock
from model.runs.metrics_log import RunRecord
from model.runs.printed_command import printed_command
from model.runs.storage import not_writable, remove_stale_temporaries, write_atomically

_MAX_TRIES = 100
"""Attempts to make a folder that other processes keep removing."""
_MAX_NUMBER = 999
"""Largest number behind the fallback name of a new run."""


class RunFolder:
    """One run on disk. Reading needs no lock; writing does (``lock``)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = CheckpointStore(path, self._require_owner)
        self.record = RunRecord(path, self._require_owner)
        self._lock = RunLock(path)
        self._locked: str | None = None
        """Identity of the run that this process writes; another run may get its name."""

    # --- finding and making ---------------------------------------------------------------------

    @classmethod
    def create(cls, root: Path, name: str | None, *, fallback_name: str) -> RunFolder:
        """Makes the folder of a new run and locks it.

        Without a ``name``, the fallback is used, followed by a number if it is taken. The folder
        of a run that ended before its first checkpoint is used again, because such a run cannot
        be resumed.

        Raises:
            RunFolderError: the name is taken, or the file system refuses.
        """
        candidates: Iterator[str]
        if name is not None:
            candidates = iter([check_run_name(name)])
        else:
            numbered = (f"{fallback_name}-{number}" for number in range(2, _MAX_NUMBER + 1))
            candidates = iter([fallback_name, *numbered])
        for candidate in candidates:
            path = root / candidate
            try:
                return cls._begin(path, may_exist=name is not None)
            except FileExistsError as error:
                if name is None and root.is_dir():
                    continue
                raise _taken(root, path) from error
            except NotRegularError as error:
                raise not_writable(path, error) from error
            except OSError as error:
                raise RunFolderError(
                    str(path),
                    f"cannot be made ({error.strerror})",
                    "name a folder that can be written with --checkpoints",
                ) from error
        raise RunFolderError(str(root), "has too many runs of this name", "give one with --run")

    @classmethod
    def _begin(cls, path: Path, *, may_exist: bool) -> RunFolder:
        """Makes and locks the folder of a new run.

        Args:
            path: of the folder.
            may_exist: whether to use the folder of a run that was never saved.

        Raises:
            FileExistsError: the path exists and is not used.
            RunFolderError: another process writes the folder.
            OSError: the file system refuses.
        """
        for _ in range(_MAX_TRIES):
            try:
                make_folder(path)
            except FileExistsError:
                if not (may_exist and was_never_saved(path)):
                    raise
            folder = cls(path)
            try:
                folder._lock.acquire()
            except FileNotFoundError:  # another process gave the run up and removed the folder
                continue
            try:
                if not was_never_saved(path):  # another process has used the folder meanwhile
                    raise FileExistsError
                folder._clear_for_writing()
                for file in own_files(path, UNSAVED_FILES):
                    if file.name in NAMES_BEFORE_FIRST_CHECKPOINT:
                        remove_file(file, UNSAVED_FILES)
            except BaseException:
                folder.unlock()
                raise
            return folder
        raise FileExistsError

    @classmethod
    def all(cls, root: Path) -> list[RunFolder]:
        """Returns the runs under ``root``, by name; none if ``root`` does not exist.

        A folder that cannot be searched for a description counts as a run.

        Raises:
            RunFolderError: ``root`` is not a folder, or cannot be read.
        """
        try:
            return [cls(path) for path in sorted(root.iterdir()) if may_be_run(path)]
        except FileNotFoundError:
            return []
        except NotADirectoryError as error:
            raise _no_folder(root) from error
        except OSError as error:
            raise RunFolderError(
                str(root), f"cannot be read ({error.strerror})", "check its permissions"
            ) from error

    @classmethod
    def find(cls, root: Path, name: str | None) -> RunFolder:
        """Returns the run called ``name``, or without a name the run with the newest checkpoint.

        A name is compared with those of the existing runs. So it can be any name of a folder, and
        it never leads out of ``root``.

        Raises:
            ConfigError: the name cannot be that of a folder.
            CheckpointError: there is no such run.
        """
        if name is not None:
            if name in {"", ".", ".."} or {"/", os.sep, os.altsep, "\0"} & set(name):
                raise bad_run_name(name)
            for run in cls.all(root):
                if unicodedata.normalize("NFC", run.name) == unicodedata.normalize("NFC", name):
                    return run
            raise CheckpointError(
                str(root / name),
                "no such run",
                f"see `{printed_command('runs', checkpoints=root)}` for those that exist",
            )
        saved = [run for run in cls.all(root) if run.checkpoints.paths()]
        if not saved:
            raise CheckpointError(
                str(root),
                "no saved run here",
                f"train one first with `{printed_command('train', checkpoints=root)}`",
            )
        return max(saved, key=lambda run: run.checkpoints.last_written())

    @property
    def name(self) -> str:
        """The run's name, which is that of its folder."""
        return self.path.name

    # --- the lock -------------------------------------------------------------------------------

    def lock(self) -> None:
        """Makes this process the only writer, and removes what an interrupted writer left.

        Raises:
            RunFolderError: another process writes this run, or the folder cannot be written.
        """
        try:
            self._lock.acquire()
        except OSError as error:
            raise not_writable(self.path, error) from error
        try:
            self._clear_for_writing()
        except OSError as error:
            self.unlock()
            raise not_writable(self.path, error) from error
        self._locked = self.identity()

    def _clear_for_writing(self) -> None:
        """Removes temporary files of an interrupted writer, if all run files are regular files."""
        self.require_regular()
        remove_stale_temporaries(self.path)

    def require_regular(self) -> None:
        """Refuses a folder in which a link, a pipe or a folder has the name of a run file.

        Raises:
            NotRegularError: there is one. The error names it.
            OSError: a file cannot be examined.
        """
        for name in FIXED_NAMES:
            require_regular_or_none(self.path / name)

    def unlock(self) -> None:
        """Lets other processes write."""
        self._locked = None
        self._lock.release()

    def is_being_written(self) -> bool:
        """Returns whether a process holds the lock now, as far as that can be known.

        The lock may be unreadable: it belongs to another account, or the file system has no locks.
        Then a run counts as being written while its record grows and has no end.
        """
        held = self._lock.is_held()
        return self.record.is_growing() if held is None else held

    # --- the description ------------------------------------------------------------------------

    def write_description(self, description: dict[str, Any]) -> None:
        """Writes ``run.json``, once, at the start of a run.

        Args:
            description: plain values for JSON.

        Raises:
            RunFolderError: the file system refuses.
        """
        text = json_text(description, indent=2) + "\n"
        try:
            write_atomically(self.path / DESCRIPTION_NAME, text.encode())
        except OSError as error:
            raise not_writable(self.path, error) from error
        self._locked = self.identity()

    def description(self) -> dict[str, Any]:
        """Returns the content of ``run.json``.

        Raises:
            CheckpointError: the file is missing or damaged.
        """
        path = self.path / DESCRIPTION_NAME
        try:
            return read_object(path)
        except OSError as error:
            raise CheckpointError(
                str(path),
                f"cannot be read ({error.strerror})",
                "name a checkpoint file with --checkpoint instead",
            ) from error

    def identity(self) -> str | None:
        """Returns an identifier that differs between runs of the same name; None without one.

        Older versions gave a run no identifier. For their runs, it is the time of creation.
        """
        try:
            description = self.description()
        except CheckpointError:
            return None
        return str(description.get("id") or description.get("created") or "")

    def _require_owner(self) -> None:
        """Refuses to write after this run was deleted and another run got its name.

        Raises:
            OSError: another run has this folder now.
        """
        if self._locked is None or self._lock.is_in_place():
            return
        if self.identity() not in {None, self._locked}:
            raise OSError(errno.ESTALE, "another run now has this folder", str(self.path))

    def problem(self) -> str | None:
        """Returns why the run's description or record cannot be read; None if they can."""
        try:
            self.require_regular()
            self.description()
            self.record.last_event()
        except CheckpointError as error:
            return f"{Path(error.subject).name} {error.cause}"
        except OSError as error:
            return f"{Path(error.filename or self.path).name} {error.strerror}"
        return None

    def require_readable(self) -> None:
        """Refuses a run whose description or record cannot be read.

        Raises:
            CheckpointError: the run has a `problem`.
        """
        problem = self.problem()
        if problem is not None:
            raise CheckpointError(
                str(self.path), f"unreadable: {problem}", "replace it with a valid file"
            )

    # --- deletion -------------------------------------------------------------------------------

    def remove_new(self) -> None:
        """Deletes the folder of a run that never began, unless other files are in it."""
        with contextlib.suppress(OSError):
            self._remove(UNSAVED_FILES)
        self.unlock()

    def delete(self, identity: str | None = None) -> list[str]:
        """Deletes the run, and its folder unless other files are in it.

        Args:
            identity: of the run to delete; None: the run that has the name now.

        Returns:
            The names of the files that stay.

        Raises:
            RunFolderError: another process writes the run, another run has its name now, the
                folder is a link, or the file system refuses.
        """
        if self.path.is_symlink():
            raise RunFolderError(
                str(self.path),
                "is a symbolic link to a run, which is not deleted through it",
                "delete the link yourself, and the run where it is",
            )
        try:
            self._lock.acquire()
        except OSError as error:
            raise _not_deletable(self.path, error) from error
        try:
            if identity is not None and self.identity() != identity:
                raise RunFolderError(str(self.path), "is now another run", "list the runs again")
            return self._remove(RUN_FILES)
        except OSError as error:
            raise _not_deletable(self.path, error) from error
        finally:
            self.unlock()

    def _remove(self, names: re.Pattern[str]) -> list[str]:
        """Deletes files of these names, then the folder; returns the names of files that stay.

        The lock file is deleted last, so that no other process writes meanwhile.
        """
        files = own_files(self.path, names)
        for path in files:
            if path.name not in LAST_DELETED:
                remove_file(path, names)
        for name in LAST_DELETED:
            if name == LOCK_NAME and os.name == "nt":
                self.unlock()  # Windows cannot delete an open file
            remove_file(self.path / name, names)
        if remove_folder(self.path):
            return []
        left = os.listdir(self.path)  # noqa: PTH208 - names are what is wanted
        return sorted(name for name in left if name != LOCK_NAME)  # another process may lock it now


def _not_deletable(path: Path, error: OSError) -> RunFolderError:
    if isinstance(error, NotRegularError):
        return not_writable(path, error)
    return RunFolderError(
        str(path), f"cannot be deleted ({error.strerror})", "check its permissions"
    )


def _no_folder(root: Path) -> RunFolderError:
    return RunFolderError(
        str(root), "is not a folder", "name a folder that can be written with --checkpoints"
    )


def _taken(root: Path, path: Path) -> RunFolderError | ConfigError:
    if not root.is_dir():
        return _no_folder(root)
    return ConfigError(
        str(path), "this run exists", "continue it with --resume, or give another name with --run"
    )
