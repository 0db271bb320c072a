"""The folder of one run: its description, metrics, samples and checkpoints.

Torch-free, so that `runs` and `generate` are quick. "Latest" and "best" are found by reading
metadata; there is no link that could point to the wrong place.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.checkpoint import (
    Checkpoint,
    CheckpointMetadata,
    read_checkpoint,
    read_metadata,
    write_checkpoint,
)
from model.errors import CheckpointError, ConfigError, RunFolderError
from model.run_lock import RunLock
from model.storage import (
    TEMPORARY_MARK,
    append_whole,
    cut_off,
    remove_stale_temporaries,
    require_room,
    write_atomically,
)

CHECKPOINT_PATTERN = re.compile(r"step-(\d{8,})\.safetensors")
NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
KEPT_LATEST = 2
_BEFORE_THE_FIRST_CHECKPOINT = ("run.json", "metrics.jsonl", "samples.jsonl")

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
        raise ConfigError(
            "--run",
            f"{name!r} cannot name a run",
            "use up to 100 letters, digits, dots, dashes and underscores",
        )
    return name


class RunFolder:
    """One run on disk. Reading needs no lock; writing does (``lock``)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = RunLock(path)
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
                path.mkdir(parents=True)
            except FileExistsError as error:
                if name is None and root.is_dir():
                    continue
                if not _never_saved(path):
                    raise _taken(root, path) from error
            except OSError as error:
                raise RunFolderError(
                    str(path),
                    f"cannot be made ({error.strerror})",
                    "name a folder that can be written with --checkpoints",
                ) from error
            folder = cls(path)
            folder.lock()
            folder._forget_all()
            return folder
        raise RunFolderError(str(root), "has too many runs of this name", "give one with --run")

    @classmethod
    def all(cls, root: Path) -> list[RunFolder]:
        """Returns the runs under ``root``, by name; none where there is no such folder."""
        try:
            return [cls(path) for path in sorted(root.iterdir()) if (path / "run.json").is_file()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise RunFolderError(
                str(root), f"cannot be read ({error.strerror})", "check its permissions"
            ) from error

    @classmethod
    def find(cls, root: Path, name: str | None) -> RunFolder:
        """Returns the run called ``name``, or the one that was written to last.

        Raises:
            CheckpointError: there is none.
        """
        if name is not None:
            folder = cls(root / check_run_name(name))
            if not (folder.path / "run.json").is_file():
                raise CheckpointError(
                    str(folder.path), "no such run", "see `charlm-tui runs` for those that exist"
                )
            return folder
        with_checkpoints = [run for run in cls.all(root) if run.checkpoint_paths()]
        if not with_checkpoints:
            raise CheckpointError(
                str(root), "no saved run here", "train one first with `charlm-tui train`"
            )
        return max(with_checkpoints, key=lambda run: run.last_written())

    @property
    def name(self) -> str:
        """The run's name, which is its folder's."""
        return self.path.name

    def last_written(self) -> float:
        """Returns when a checkpoint was last written, seconds since 1970."""
        return max((path.stat().st_mtime for path in self.checkpoint_paths()), default=0.0)

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
            remove_stale_temporaries(self.path)
        except OSError as error:
            self.unlock()
            raise _not_writable(self.path, error) from error

    def unlock(self) -> None:
        """Lets others write."""
        self._lock.release()

    def is_being_written(self) -> bool:
        """Whether some process holds the lock at this moment."""
        return self._lock.is_held()

    # --- description, metrics, samples ----------------------------------------------------------

    def write_description(self, description: dict[str, Any]) -> None:
        """Writes ``run.json``, once, at the start of a run.

        Raises:
            RunFolderError: the file system refuses.
        """
        text = json.dumps(description, ensure_ascii=False, indent=2) + "\n"
        try:
            write_atomically(self.path / "run.json", text.encode())
        except OSError as error:
            raise _not_writable(self.path, error) from error

    def description(self) -> dict[str, Any]:
        """Returns what ``run.json`` says.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        path = self.path / "run.json"
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(record, dict):
                raise TypeError("not an object")
        except (OSError, ValueError, TypeError) as error:
            raise CheckpointError(
                str(path), "cannot be read", "name a checkpoint file with --checkpoint instead"
            ) from error
        return record

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
        """Removes the folder of a run that never began, as far as it is empty."""
        self.unlock()
        with contextlib.suppress(OSError, RunFolderError):
            self._forget_all()
            (self.path / ".lock").unlink(missing_ok=True)
            self.path.rmdir()

    def _forget_all(self) -> None:
        """Removes what a run leaves before its first checkpoint."""
        try:
            for name in _BEFORE_THE_FIRST_CHECKPOINT:
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise _not_writable(self.path, error) from error

    def append_line(self, file_name: str, line: str) -> None:
        """Appends one line to ``metrics.jsonl`` or ``samples.jsonl``, whole or not at all."""
        append_whole(self.path / file_name, f"{line}\n".encode())

    def forget_after(self, step: int) -> None:
        """Cuts off what the run's files tell of steps after ``step``, which are lost.

        A run that is gone on with makes them anew, and a curve must not show them twice. A last
        line that was cut short by the interruption goes too: the next would be glued to it.

        Raises:
            RunFolderError: the file system refuses.
        """
        for name in ("metrics.jsonl", "samples.jsonl"):
            path = self.path / name
            try:
                end = _end_of_step(path, step)
                if end < path.stat().st_size:
                    cut_off(path, end)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _not_writable(path, error) from error

    def read_lines(self, file_name: str) -> list[dict[str, Any]]:
        """Returns the JSON objects of a file; a line that is cut short or foreign is left out."""
        records = []
        with (
            contextlib.suppress(FileNotFoundError),
            (self.path / file_name).open(encoding="utf-8", errors="replace") as file,
        ):
            for line in file:
                with contextlib.suppress(ValueError):
                    record = json.loads(line)
                    if isinstance(record, dict):
                        records.append(record)
        return records

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
                saved.append(SavedCheckpoint(path=path, metadata=read_metadata(path)))
            except CheckpointError as error:
                warn(str(error))
        return saved

    def save(self, checkpoint: Checkpoint) -> Path:
        """Writes a checkpoint and prunes: the last two stay, and of each text the best.

        Raises:
            CheckpointError: a weight is not finite.
            OSError: the file system refuses; the older checkpoints are untouched.
        """
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
                    item.path.unlink()
                    del self._verified[item.path]

    def _is_whole(self, path: Path) -> bool:
        """Tells whether a checkpoint can be gone back to; reads each file through once at most."""
        try:
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
    status = path.stat()
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _end_of_step(path: Path, last_step: int) -> int:
    """Returns where the lines of a run's file end that tell of no step after ``last_step``."""
    end = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                step = record.get("step") if isinstance(record, dict) else None
                if isinstance(step, int) and step > last_step:
                    break
            end += len(line)
    return end


def _not_writable(path: Path, error: OSError) -> RunFolderError:
    return RunFolderError(
        str(path),
        f"cannot be written ({error.strerror})",
        "check its permissions, or name another folder with --checkpoints",
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
    ours = {".lock", *_BEFORE_THE_FIRST_CHECKPOINT}
    return ".lock" in names and all(name in ours or TEMPORARY_MARK in name for name in names)


def _taken(root: Path, path: Path) -> RunFolderError | ConfigError:
    if not root.is_dir():
        return RunFolderError(
            str(root), "is not a folder", "name a folder that can be written with --checkpoints"
        )
    return ConfigError(
        str(path), "this run exists", "go on with it by --resume, or give another name with --run"
    )
