"""The checkpoints of one run: saving, pruning, and finding the latest and the best one.

Torch-free. The latest and the best checkpoint are found by reading metadata: a link could point to
the wrong file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus.files.regular_file import require_regular_or_none
from corpus.files.removal import remove_file
from model.errors import CheckpointError, RunFolderError
from model.runs.checkpoint import Checkpoint, CheckpointMetadata
from model.runs.checkpoint_file import read_checkpoint, read_metadata, write_checkpoint
from model.runs.file_names import CHECKPOINT_PATTERN, checkpoint_name, step_of_checkpoint
from model.runs.storage import require_room
from model.timing import Clock

KEPT_LATEST = 2
"""The number of newest checkpoints that pruning never deletes."""
FIRST_RETRY_SECONDS = 5.0
"""Delay before the first retry after a failed save; doubles with each further failure."""
MAX_RETRY_SECONDS = 300.0
"""Longest delay before a retry."""

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCheckpoint:
    """A checkpoint file and its metadata."""

    path: Path
    metadata: CheckpointMetadata


class CheckpointStore:
    """The checkpoint files in one run's folder. Reading needs no lock; saving does."""

    def __init__(self, folder: Path, require_owner: Callable[[], None]) -> None:
        """Reads nothing yet.

        Args:
            folder: of the run.
            require_owner: raises OSError if this process may not write into the folder any more.
        """
        self.folder = folder
        self._require_owner = require_owner
        self._verified: dict[Path, _FileIdentity] = {}
        """The checkpoints that this process has written, or has read to the end."""

    def paths(self) -> list[Path]:
        """Returns the checkpoint files, by step."""
        try:
            names = [name for name in os.listdir(self.folder) if CHECKPOINT_PATTERN.fullmatch(name)]  # noqa: PTH208
        except OSError:
            return []
        return [self.folder / name for name in sorted(names, key=step_of_checkpoint)]

    def saved(self, warn: Warn) -> list[SavedCheckpoint]:
        """Returns the checkpoints whose metadata can be read, by step.

        Args:
            warn: receives a sentence for each of the others.
        """
        saved = []
        for path in self.paths():
            try:
                _require_regular(path)
                saved.append(SavedCheckpoint(path=path, metadata=read_metadata(path)))
            except CheckpointError as error:
                warn(str(error))
        return saved

    def last_written(self) -> float:
        """Returns when a checkpoint was last written, seconds since 1970; 0.0 without any."""
        latest = 0.0
        for path in self.paths():
            with contextlib.suppress(OSError):  # another process has pruned it
                latest = max(latest, os.lstat(path).st_mtime)
        return latest

    def require_room(self, size: int) -> None:
        """Refuses a disk on which a checkpoint of about ``size`` bytes could not be saved.

        Raises:
            RunFolderError: the disk is full or may not be written.
        """
        try:
            require_room(self.folder, size)
        except OSError as error:
            raise RunFolderError(
                str(self.folder),
                f"has no room for a checkpoint of {size / 1e6:,.1f} MB ({error.strerror})",
                "free space, or name another folder with --checkpoints",
            ) from error

    def save(self, checkpoint: Checkpoint) -> Path:
        """Writes a checkpoint and prunes: the last two stay, and the best one of each text.

        Raises:
            CheckpointError: a weight is not finite.
            OSError: the file system refuses, or another run has this folder now. The older
                checkpoints are unchanged.
        """
        self._require_owner()
        path = self.folder / checkpoint_name(checkpoint.metadata.step)
        write_checkpoint(path, checkpoint)
        self._verified[path] = _identity(path)
        self._prune()
        return path

    def load_latest(self, warn: Warn) -> Checkpoint:
        """Reads the newest undamaged checkpoint.

        Args:
            warn: receives a sentence for each damaged checkpoint that is skipped.

        Raises:
            CheckpointError: no checkpoint is undamaged.
        """
        return self._load_first_undamaged(list(reversed(self.paths())), warn)

    def load_best(self, warn: Warn) -> Checkpoint:
        """Reads the best checkpoint for the newest one's text, or the newest undamaged one.

        Args:
            warn: receives a sentence for each damaged checkpoint that is skipped.

        Raises:
            CheckpointError: no checkpoint is undamaged.
        """
        by_loss = [saved.path for saved in best_first(self.saved(lambda _: None))]
        rest = [path for path in reversed(self.paths()) if path not in by_loss]
        return self._load_first_undamaged(by_loss + rest, warn)

    def _load_first_undamaged(self, paths: list[Path], warn: Warn) -> Checkpoint:
        """Reads the first undamaged checkpoint of a list, and warns of those before it.

        Raises:
            CheckpointError: all are damaged. The error says why the first one is.
        """
        failures: list[CheckpointError | OSError] = []
        for path in paths:
            try:
                _require_regular(path)
                identity = _identity(path)
                checkpoint = read_checkpoint(path)
            except (CheckpointError, OSError) as error:
                failures.append(error)
                continue
            for failure in failures:
                warn(f"{_reason(failure)}; {path.name} is used instead")
            self._verified[path] = identity
            return checkpoint
        remedy = "train the run again"
        if failures and isinstance(failures[0], CheckpointError):
            remedy = f"{remedy} ({Path(failures[0].subject).name} {failures[0].cause})"
        raise CheckpointError(str(self.folder), "has no checkpoint that can be read", remedy)

    def _prune(self) -> None:
        """Deletes undamaged checkpoints that are neither the best of a text nor among the last two.

        A damaged checkpoint counts for nothing, so that a good one never loses its place to it. It
        is not deleted, because a later version may have written it.
        """
        saved = [item for item in self.saved(lambda _: None) if self._is_undamaged(item.path)]
        keep = {item.path for item in saved[-KEPT_LATEST:]}
        for text in {item.metadata.measured_on for item in saved}:
            same_text = [item for item in saved if item.metadata.measured_on == text]
            keep |= {best.path for best in best_first(same_text)[:1]}
        for item in saved:
            if item.path not in keep:
                # The new checkpoint is saved even if an old one cannot be deleted.
                with contextlib.suppress(OSError):
                    remove_file(item.path, CHECKPOINT_PATTERN)
                    del self._verified[item.path]

    def _is_undamaged(self, path: Path) -> bool:
        """Returns whether a checkpoint can be loaded; reads each file to its end at most once."""
        try:
            _require_regular(path)
            identity = _identity(path)
            if self._verified.get(path) != identity:
                read_checkpoint(path)
                self._verified[path] = identity
        except (CheckpointError, OSError):
            return False
        return True


class CheckpointSaver:
    """Saves during a training, and retries with growing delays while the file system refuses.

    It decides when to save and remembers a failure. It does not know what is saved or who is
    informed.
    """

    def __init__(self, store: CheckpointStore, clock: Clock, saved_step: int = -1) -> None:
        """Starts without a failure.

        Args:
            store: the store of the run, whose folder is locked.
            clock: monotonic seconds.
            saved_step: the step of the newest checkpoint in the store.
        """
        self._store = store
        self._clock = clock
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._next_try = clock()
        self.saved_step = saved_step
        self._unsaved_best: Checkpoint | None = None
        """The best one if it could not be saved; it comes before the next one."""
        self.failure: str | None = None
        """Why the last save failed; None if it succeeded."""

    def should_save(self, *, wanted: bool) -> bool:
        """Returns whether to save now: a save is wanted, or a failed one is due again."""
        if self.failure is None:
            return wanted
        return self._clock() >= self._next_try

    def save(self, checkpoint: Checkpoint) -> Path | None:
        """Saves now, due or not; returns None on failure, and ``failure`` says why."""
        if checkpoint.metadata.best:
            self._unsaved_best = None
        try:
            if self._unsaved_best is not None:
                self._store.save(self._unsaved_best)
                self._unsaved_best = None
            path = self._store.save(checkpoint)
        except (OSError, CheckpointError) as error:
            if checkpoint.metadata.best:
                self._unsaved_best = checkpoint
            cause = error.strerror or error if isinstance(error, OSError) else error.cause
            self.failure = f"{self._store.folder}: checkpoint not saved ({cause})"
            self._next_try = self._clock() + self._retry_seconds
            self._retry_seconds = min(2 * self._retry_seconds, MAX_RETRY_SECONDS)
            return None
        self.failure = None
        self._retry_seconds = FIRST_RETRY_SECONDS
        self.saved_step = checkpoint.metadata.step
        return path


def best_first(saved: Sequence[SavedCheckpoint]) -> list[SavedCheckpoint]:
    """Returns the validated checkpoints that are comparable with the newest, the best one first.

    A run may have been resumed with another or an edited text, where losses are not comparable.

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


_FileIdentity = tuple[int, int, int]
"""Inode, size in bytes, and time of modification: a new file of the same name has another one."""


def _identity(path: Path) -> _FileIdentity:
    status = os.lstat(path)
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _reason(error: CheckpointError | OSError) -> str:
    """Returns which checkpoint cannot be read, and why."""
    if isinstance(error, CheckpointError):
        return f"{error.subject}: {error.cause}"
    return f"{error.filename}: {error.strerror}"


def _require_regular(path: Path) -> None:
    """Refuses a link or a pipe in the place of a checkpoint.

    Raises:
        CheckpointError: the path is no regular file.
    """
    try:
        require_regular_or_none(path)
    except OSError as error:
        raise CheckpointError(
            str(path), error.strerror or "cannot be read", "replace it with the file itself"
        ) from error
