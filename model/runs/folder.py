"""The folder of one run: its description, metrics, samples and checkpoints.

Torch-free, so that `runs` and `generate` are quick. "Latest" and "best" are found by reading
metadata; there is no link that could point to the wrong place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.files.atomic_file import make_folder
from corpus.files.json_reader import JsonLines, object_of, read_object
from corpus.files.json_text import json_text
from corpus.files.regular_file import NotRegularError, require_regular_or_none
from corpus.files.removal import own_files, remove_file, remove_folder
from model.errors import CheckpointError, ConfigError, RunFolderError
from model.events import CheckpointSaved, Finished, RecordedUnion, recorded_event
from model.runs.checkpoint import Checkpoint, CheckpointMetadata
from model.runs.checkpoint_file import read_checkpoint, read_metadata, write_checkpoint
from model.runs.lock import NAME as LOCK_NAME
from model.runs.lock import TURN_NAME, RunLock
from model.runs.printed_command import printed_command
from model.runs.storage import (
    TEMPORARY_FILES,
    append_whole,
    cut_off,
    remove_stale_temporaries,
    require_room,
    write_atomically,
)

CHECKPOINT_PATTERN = re.compile(r"step-(\d{8,})\.safetensors")
NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
"""Of new runs; a folder that was renamed is found by any name."""
KEPT_LATEST = 2
SECONDS_OF_SILENCE = 60.0
"""After which a run's record no longer grows; a validation may take as long as that."""
DESCRIPTION_NAME, METRICS_NAME, SAMPLES_NAME = "run.json", "metrics.jsonl", "samples.jsonl"
LOG_NAME = "train.log"
_BEFORE_THE_FIRST_CHECKPOINT = (DESCRIPTION_NAME, METRICS_NAME, SAMPLES_NAME)
_PLAIN_NAMES = (LOCK_NAME, TURN_NAME, *_BEFORE_THE_FIRST_CHECKPOINT, LOG_NAME)
TENSORBOARD_FILES = re.compile(r"events\.out\.tfevents\.\d+\..*\.\d+\.\d+")
UNSAVED_FILES = re.compile(
    "|".join(
        [
            *map(re.escape, (LOCK_NAME, TURN_NAME, *_BEFORE_THE_FIRST_CHECKPOINT)),
            TEMPORARY_FILES.pattern,
        ]
    )
)
"""What a run makes before its first checkpoint."""
RUN_FILES = re.compile(
    "|".join(
        [
            UNSAVED_FILES.pattern,
            re.escape(LOG_NAME),
            CHECKPOINT_PATTERN.pattern,
            TENSORBOARD_FILES.pattern,
        ]
    )
)
"""All that a run makes. What has another name in its folder is the user's."""
_LAST_TO_GO = (DESCRIPTION_NAME, TURN_NAME, LOCK_NAME)
_MAX_TRIES = 100

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCheckpoint:
    """A checkpoint file and its metadata."""

    path: Path
    metadata: CheckpointMetadata


def from_the_best(saved: Sequence[SavedCheckpoint]) -> list[SavedCheckpoint]:
    """Returns the validated checkpoints that can be compared with the newest, the best one first.

    A run may have gone on in another text, or in one that was edited: losses there are others.

    Args:
        saved: checkpoints by step.
    """
    scored = [
        (item.metadata.nats_per_character, item)
        for item in saved
        if item.metadata.nats_per_character is not None
        and item.metadata.measured_on == saved[-1].metadata.measured_on
    ]
    return [item for _, item in sorted(scored, key=lambda pair: pair[0])]


def check_run_name(name: str) -> str:
    """Returns ``name`` if it can name a run's folder.

    Raises:
        ConfigError: it has characters that a folder or a shell would trip over.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise _no_name(name)
    return name


class RunFolder:
    """One run on disk. Reading needs no lock; writing does (``lock``)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = RunLock(path)
        self._locked: str | None = None
        """Which run this process writes: another may get its name meanwhile."""
        self._verified: dict[Path, _Identity] = {}
        """Checkpoints that this process has written or read whole, and which files they were."""

    # --- finding and making ---------------------------------------------------------------------

    @classmethod
    def create(cls, root: Path, name: str | None, *, fallback_name: str) -> RunFolder:
        """Makes the folder of a new run and locks it.

        Without a ``name`` the fallback is used, with a number behind it where it is taken. The
        folder of a run that ended before its first checkpoint is used again: it cannot be gone on
        with.

        Raises:
            RunFolderError: the name is taken, or the file system refuses.
        """
        candidates: Iterator[str]
        if name is not None:
            candidates = iter([check_run_name(name)])
        else:
            candidates = iter([fallback_name, *(f"{fallback_name}-{n}" for n in range(2, 1000))])
        for candidate in candidates:
            path = root / candidate
            try:
                return cls._begin(path, may_be_there=name is not None)
            except FileExistsError as error:
                if name is None and root.is_dir():
                    continue
                raise _taken(root, path) from error
            except NotRegularError as error:
                raise _not_writable(path, error) from error
            except OSError as error:
                raise RunFolderError(
                    str(path),
                    f"cannot be made ({error.strerror})",
                    "name a folder that can be written with --checkpoints",
                ) from error
        raise RunFolderError(str(root), "has too many runs of this name", "give one with --run")

    @classmethod
    def _begin(cls, path: Path, *, may_be_there: bool) -> RunFolder:
        """Makes the folder of a new run, or takes one in which nothing was saved, and locks it.

        Raises:
            FileExistsError: something is there.
            RunFolderError: another process writes it.
            OSError: the file system refuses.
        """
        for _ in range(_MAX_TRIES):
            try:
                make_folder(path)
            except FileExistsError:
                if not (may_be_there and _never_saved(path)):
                    raise
            folder = cls(path)
            try:
                folder._lock.acquire()
            except FileNotFoundError:  # another process gave it up, and removed it
                continue
            try:
                if not _never_saved(path):  # another process was faster, and has ended
                    raise FileExistsError
                folder._clear_for_writing()
                for file in own_files(path, UNSAVED_FILES):
                    if file.name in _BEFORE_THE_FIRST_CHECKPOINT:
                        remove_file(file, UNSAVED_FILES)
            except BaseException:
                folder.unlock()
                raise
            return folder
        raise FileExistsError

    @classmethod
    def all(cls, root: Path) -> list[RunFolder]:
        """Returns the runs under ``root``, by name; none where there is no such folder.

        A folder of which it cannot be told whether it is a run counts as one.

        Raises:
            RunFolderError: ``root`` is no folder, or cannot be read.
        """
        try:
            return [cls(path) for path in sorted(root.iterdir()) if _may_be_run(path)]
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
        """Returns the run called ``name``, or the one that was written to last.

        A name is looked for among those that are there, so it may be any that a folder can have,
        and never leads elsewhere.

        Raises:
            ConfigError: the name cannot be that of a folder.
            CheckpointError: there is none.
        """
        if name is not None:
            if name in {"", ".", ".."} or {"/", os.sep, os.altsep, "\0"} & set(name):
                raise _no_name(name)
            for run in cls.all(root):
                if unicodedata.normalize("NFC", run.name) == unicodedata.normalize("NFC", name):
                    return run
            raise CheckpointError(
                str(root / name),
                "no such run",
                f"see `{printed_command('runs', checkpoints=root)}` for those that exist",
            )
        with_checkpoints = [run for run in cls.all(root) if run.checkpoint_paths()]
        if not with_checkpoints:
            raise CheckpointError(
                str(root),
                "no saved run here",
                f"train one first with `{printed_command('train', checkpoints=root)}`",
            )
        return max(with_checkpoints, key=lambda run: run.last_written())

    @property
    def name(self) -> str:
        """The run's name, which is its folder's."""
        return self.path.name

    def last_written(self) -> float:
        """Returns when a checkpoint was last written, seconds since 1970."""
        latest = 0.0
        for path in self.checkpoint_paths():
            with contextlib.suppress(OSError):  # it was pruned meanwhile
                latest = max(latest, os.lstat(path).st_mtime)
        return latest

    # --- the lock -------------------------------------------------------------------------------

    def lock(self) -> None:
        """Makes this process the only writer, and clears what an interrupted one left behind.

        Raises:
            RunFolderError: another process writes this run, or the folder cannot be written.
        """
        try:
            self._lock.acquire()
        except OSError as error:
            raise _not_writable(self.path, error) from error
        try:
            self._clear_for_writing()
        except OSError as error:
            self.unlock()
            raise _not_writable(self.path, error) from error
        self._locked = self.identity()

    def _clear_for_writing(self) -> None:
        """Removes what an interrupted writer left, once nothing is in the way of our files."""
        self.require_regular()
        remove_stale_temporaries(self.path)

    def require_regular(self) -> None:
        """Refuses a folder in which a link, a pipe or a folder has the name of one of our files.

        Raises:
            NotRegularError: that is so; it names the file.
            OSError: the file system refuses to tell.
        """
        for name in _PLAIN_NAMES:
            require_regular_or_none(self.path / name)

    def problem(self) -> str | None:
        """Returns why the run's description or record cannot be read; None where they can."""
        try:
            self.require_regular()
            self.description()
            self.last_event()
        except CheckpointError as error:
            return f"{Path(error.subject).name} {error.cause}"
        except OSError as error:
            return f"{Path(error.filename or self.path).name} {error.strerror}"
        return None

    def require_readable(self) -> None:
        """Refuses a run that has a `problem`.

        Raises:
            CheckpointError: it has one.
        """
        problem = self.problem()
        if problem is not None:
            raise CheckpointError(
                str(self.path), f"unreadable: {problem}", "put a right file in its place"
            )

    def unlock(self) -> None:
        """Lets others write."""
        self._locked = None
        self._lock.release()

    def is_being_written(self) -> bool:
        """Whether some process holds the lock at this moment, as far as that can be known.

        Where the lock cannot be looked at (another account's, or a file system without locks), a
        run whose record does not end counts as being written while its record grows.
        """
        held = self._lock.is_held()
        return self._record_grows() if held is None else held

    def _record_grows(self) -> bool:
        try:
            age = time.time() - os.lstat(self.path / METRICS_NAME).st_mtime
        except OSError:
            return False
        try:
            last = self.last_event()
        except CheckpointError:
            return False
        return age < SECONDS_OF_SILENCE and not isinstance(last, Finished)

    # --- description, metrics, samples ----------------------------------------------------------

    def write_description(self, description: dict[str, Any]) -> None:
        """Writes ``run.json``, once, at the start of a run.

        Raises:
            RunFolderError: the file system refuses.
        """
        text = json_text(description, indent=2) + "\n"
        try:
            write_atomically(self.path / DESCRIPTION_NAME, text.encode())
        except OSError as error:
            raise _not_writable(self.path, error) from error
        self._locked = self.identity()

    def description(self) -> dict[str, Any]:
        """Returns what ``run.json`` says.

        Raises:
            CheckpointError: it is missing or damaged.
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
        """Returns what tells this run from others that had or get its name; None: there is none.

        Runs of older versions have no number of their own: the second of their creation serves.
        """
        try:
            said = self.description()
        except CheckpointError:
            return None
        return str(said.get("id") or said.get("created") or "")

    def _require_own(self) -> None:
        """Refuses to write where another run has the name by now: it was deleted and begun anew.

        Raises:
            OSError: that is so.
        """
        if self._locked is None or self._lock.is_in_place():
            return
        if self.identity() not in {None, self._locked}:
            raise OSError(errno.ESTALE, "another run has this folder by now", str(self.path))

    def require_room(self, size: int) -> None:
        """Tries whether a checkpoint of about ``size`` bytes could be saved.

        Raises:
            RunFolderError: it could not: a disk that is full or may not be written.
        """
        try:
            require_room(self.path, size)
        except OSError as error:
            raise RunFolderError(
                str(self.path),
                f"has no room for a checkpoint of {size / 1e6:,.1f} MB ({error.strerror})",
                "make room, or name another folder with --checkpoints",
            ) from error

    def remove_new(self) -> None:
        """Removes the folder of a run that never began, as far as nothing else is in it."""
        with contextlib.suppress(OSError):
            self._remove(UNSAVED_FILES)
        self.unlock()

    def delete(self, identity: str | None = None) -> list[str]:
        """Deletes the run, and its folder if nothing else is in it; returns the names that stay.

        Args:
            identity: of the run that is meant; None: whichever has the name.

        Raises:
            RunFolderError: another process writes it, another run has its name by now, it is a
                link, or the file system refuses.
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
                raise RunFolderError(
                    str(self.path), "is another run by now", "look at the runs again"
                )
            return self._remove(RUN_FILES)
        except OSError as error:
            raise _not_deletable(self.path, error) from error
        finally:
            self.unlock()

    def _remove(self, names: re.Pattern[str]) -> list[str]:
        """Removes files of these names and the folder, locked to the end; returns what stays."""
        files = own_files(self.path, names)
        for path in files:
            if path.name not in _LAST_TO_GO:
                remove_file(path, names)
        for name in _LAST_TO_GO:
            if name == LOCK_NAME and os.name == "nt":
                self.unlock()  # an open file cannot be removed there
            remove_file(self.path / name, names)
        if remove_folder(self.path):
            return []
        left = os.listdir(self.path)  # noqa: PTH208 - names are what is wanted
        return sorted(name for name in left if name != LOCK_NAME)  # another process's, by now

    def append_line(self, file_name: str, line: str) -> None:
        """Appends one line to ``metrics.jsonl`` or ``samples.jsonl``, whole or not at all.

        Raises:
            OSError: the file system refuses, or another run has this folder by now.
        """
        self._require_own()
        append_whole(self.path / file_name, f"{line}\n".encode())

    def forget_after(self, step: int) -> None:
        """Cuts off what the run's files tell of steps after ``step``, which are lost.

        A run that is gone on with makes them anew, and a curve must not show them twice. A last
        line that was cut short by the interruption goes too: the next would be glued to it.

        Raises:
            RunFolderError: the file system refuses.
        """
        for name in (METRICS_NAME, SAMPLES_NAME):
            path = self.path / name
            try:
                end = _end_of_step(path, step)
                if end < os.lstat(path).st_size:
                    cut_off(path, end)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _not_writable(path, error) from error

    def records(self, file_name: str) -> Iterator[dict[str, Any]]:
        """Yields the JSON objects of a file; a line that is cut short or foreign is left out.

        Raises:
            CheckpointError: the file is there and cannot be read.
        """
        try:
            yield from JsonLines(self.path / file_name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _not_readable(self.path / file_name, error) from error

    def read_lines(self, file_name: str) -> list[dict[str, Any]]:
        """Returns what `records` yields."""
        return list(self.records(file_name))

    def last_event(self) -> RecordedUnion | None:
        """Returns the run's last event but for saved checkpoints; None where there is none.

        Raises:
            CheckpointError: the record is there and cannot be read.
        """
        path = self.path / METRICS_NAME
        try:
            for lines in JsonLines.tails(path):
                last = None
                for event in map(recorded_event, lines):
                    if event is not None and not isinstance(event, CheckpointSaved):
                        last = event
                if last is not None:
                    return last
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _not_readable(path, error) from error
        return None

    # --- checkpoints ----------------------------------------------------------------------------

    def checkpoint_paths(self) -> list[Path]:
        """Returns the checkpoint files, by step."""
        try:
            names = [name for name in os.listdir(self.path) if CHECKPOINT_PATTERN.fullmatch(name)]  # noqa: PTH208
        except OSError:
            return []
        return [self.path / name for name in sorted(names, key=_step_of)]

    def checkpoints(self, warn: Warn) -> list[SavedCheckpoint]:
        """Returns the checkpoints whose metadata can be read, by step; warns of the others."""
        saved = []
        for path in self.checkpoint_paths():
            try:
                _require_regular_checkpoint(path)
                saved.append(SavedCheckpoint(path=path, metadata=read_metadata(path)))
            except CheckpointError as error:
                warn(str(error))
        return saved

    def save(self, checkpoint: Checkpoint) -> Path:
        """Writes a checkpoint and prunes: the last two stay, and of each text the best.

        Raises:
            CheckpointError: a weight is not finite.
            OSError: the file system refuses, or another run has this folder by now; the older
                checkpoints are untouched.
        """
        self._require_own()
        path = self.path / f"step-{checkpoint.metadata.step:08d}.safetensors"
        write_checkpoint(path, checkpoint)
        self._verified[path] = _identity(path)
        self._prune()
        return path

    def load_latest(self, warn: Warn) -> Checkpoint:
        """Reads the newest checkpoint that is whole; warns of each that is passed over.

        Raises:
            CheckpointError: none is.
        """
        return self._first_whole(list(reversed(self.checkpoint_paths())), warn)

    def load_best(self, warn: Warn) -> Checkpoint:
        """Reads the best checkpoint of the newest one's text, else the newest that is whole.

        Raises:
            CheckpointError: none is whole.
        """
        by_loss = [saved.path for saved in from_the_best(self.checkpoints(lambda _: None))]
        rest = [path for path in reversed(self.checkpoint_paths()) if path not in by_loss]
        return self._first_whole(by_loss + rest, warn)

    def _first_whole(self, paths: list[Path], warn: Warn) -> Checkpoint:
        """Reads the first of them that is whole; warns of those before it.

        Raises:
            CheckpointError: none is; it says why the first one is not.
        """
        why: Exception | None = None
        for path in paths:
            try:
                _require_regular_checkpoint(path)
                identity = _identity(path)
                checkpoint = read_checkpoint(path)
            except (CheckpointError, OSError) as error:
                why = why or error
                if len(paths) > 1:  # of a single one the error below says it
                    warn(str(error))
                continue
            self._verified[path] = identity
            return checkpoint
        remedy = "train the run anew"
        if isinstance(why, CheckpointError):
            remedy = f"{remedy} ({Path(why.subject).name} {why.cause})"
        raise CheckpointError(str(self.path), "has no checkpoint that can be read", remedy)

    def _prune(self) -> None:
        """Deletes whole checkpoints that are neither the best of a text nor among the last two.

        A damaged one counts for nothing, so that it never costs a good one its place, and is left
        where it is: it may be of a later version, and is not ours to judge.
        """
        saved = [item for item in self.checkpoints(lambda _: None) if self._is_whole(item.path)]
        keep = {item.path for item in saved[-KEPT_LATEST:]}
        for text in {item.metadata.measured_on for item in saved}:
            of_it = [item for item in saved if item.metadata.measured_on == text]
            keep |= {best.path for best in from_the_best(of_it)[:1]}
        for item in saved:
            if item.path not in keep:
                # One that cannot be deleted is no reason to call the new one unsaved.
                with contextlib.suppress(OSError):
                    remove_file(item.path, CHECKPOINT_PATTERN)
                    del self._verified[item.path]

    def _is_whole(self, path: Path) -> bool:
        """Tells whether a checkpoint can be gone back to; reads each file through once at most."""
        try:
            _require_regular_checkpoint(path)
            identity = _identity(path)
            if self._verified.get(path) != identity:
                read_checkpoint(path)
                self._verified[path] = identity
        except (CheckpointError, OSError):
            return False
        return True


_Identity = tuple[int, int, int]
"""Inode, bytes, and when it was written: another file of the same name has another."""


def _identity(path: Path) -> _Identity:
    status = os.lstat(path)
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _end_of_step(path: Path, last_step: int) -> int:
    """Returns where the lines of a run's file end that tell of no step after ``last_step``."""
    lines = JsonLines(path)
    end = 0
    for line in lines.lines():
        record = object_of(line)
        step = None if record is None else record.get("step")
        if isinstance(step, int) and last_step < step <= sys.maxsize:
            break
        end = lines.offset
    return end


def _not_writable(path: Path, error: OSError) -> RunFolderError:
    if isinstance(error, NotRegularError):
        remedy = "remove it, or name another folder with --checkpoints"
        return RunFolderError(str(error.filename), error.strerror or "", remedy)
    return RunFolderError(
        str(path),
        f"cannot be written ({error.strerror})",
        "check its permissions, or name another folder with --checkpoints",
    )


def _not_deletable(path: Path, error: OSError) -> RunFolderError:
    if isinstance(error, NotRegularError):
        return _not_writable(path, error)
    return RunFolderError(
        str(path), f"cannot be deleted ({error.strerror})", "check its permissions"
    )


def _not_readable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        str(path), f"cannot be read ({error.strerror})", "move it out of the run's folder"
    )


def _require_regular_checkpoint(path: Path) -> None:
    """Refuses a link or a pipe in the place of a checkpoint.

    Raises:
        CheckpointError: it is one.
    """
    try:
        require_regular_or_none(path)
    except OSError as error:
        raise CheckpointError(
            str(path), error.strerror or "cannot be read", "put the file itself in its place"
        ) from error


def is_file_of_a_run(path: Path) -> bool:
    """Tells whether a path has the name of a run's own file in the folder of a run."""
    return RUN_FILES.fullmatch(path.name) is not None and _may_be_run(path.parent)


def _may_be_run(path: Path) -> bool:
    """Tells whether a folder holds a description, or cannot be looked into."""
    try:
        os.lstat(path / DESCRIPTION_NAME)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _no_folder(root: Path) -> RunFolderError:
    return RunFolderError(
        str(root), "is not a folder", "name a folder that can be written with --checkpoints"
    )


def _no_name(name: str) -> ConfigError:
    return ConfigError(
        "--run",
        f"{name!r} cannot name a run",
        "use up to 100 letters, digits, dots, dashes and underscores",
    )


def _step_of(name: str) -> int:
    match = CHECKPOINT_PATTERN.fullmatch(name)
    assert match is not None
    return int(match[1])


def _never_saved(path: Path) -> bool:
    """Tells whether a folder holds nothing but what a run leaves before its first checkpoint."""
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError:
        return False
    return (LOCK_NAME in names or not names) and all(map(UNSAVED_FILES.fullmatch, names))


def _taken(root: Path, path: Path) -> RunFolderError | ConfigError:
    if not root.is_dir():
        return _no_folder(root)
    return ConfigError(
        str(path), "this run exists", "go on with it by --resume, or give another name with --run"
    )
