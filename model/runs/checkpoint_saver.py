"""Saving during a training: a file system that refuses is asked again, ever more rarely.

It knows when a save may be tried and whether the last one failed, not what is saved or who is told.
"""

from __future__ import annotations

from pathlib import Path

from model.errors import CheckpointError
from model.runs.checkpoint import Checkpoint
from model.runs.folder import RunFolder
from model.timing import Clock

FIRST_PAUSE = 5.0
"""Seconds after a failed save until the next try; each further failure doubles them, ..."""
LONGEST_PAUSE = 300.0
"""... up to these."""


class CheckpointSaver:
    """Saves into a run's folder."""

    def __init__(self, folder: RunFolder, clock: Clock, saved_step: int = -1) -> None:
        """Begins with what is on the disk already.

        Args:
            folder: of the run, locked.
            clock: monotonic seconds.
            saved_step: the step of the newest checkpoint there.
        """
        self._folder = folder
        self._clock = clock
        self._pause = FIRST_PAUSE
        self._next_try = clock()
        self.saved_step = saved_step
        self.trouble: str | None = None
        """Why the last try failed; None where it did not."""

    def should_save(self, *, wanted: bool) -> bool:
        """Tells whether to save by itself now: it is wanted or overdue, and not too soon again."""
        if self.trouble is None:
            return wanted
        return self._clock() >= self._next_try

    @property
    def seconds_to_next_try(self) -> float:
        """How long no further try is made by itself."""
        return max(0.0, self._next_try - self._clock())

    def save(self, checkpoint: Checkpoint) -> Path | None:
        """Saves, whatever the time; returns None where that failed, and ``trouble`` says why."""
        try:
            path = self._folder.save(checkpoint)
        except (OSError, CheckpointError) as error:
            cause = error.strerror or error if isinstance(error, OSError) else error.cause
            self.trouble = f"{self._folder.path}: checkpoint not saved ({cause})"
            self._next_try = self._clock() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return None
        self.trouble = None
        self._pause = FIRST_PAUSE
        self.saved_step = checkpoint.metadata.step
        return path
