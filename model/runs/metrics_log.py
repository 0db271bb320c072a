"""The record of a run: its events in ``metrics.jsonl``, and its samples in a second file too."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from corpus.files.json_reader import JsonLines, object_of
from model.errors import CheckpointError
from model.events import (
    CheckpointSaved,
    Finished,
    RecordedEvent,
    RecordedUnion,
    SampleRecorded,
    StepFinished,
    recorded_event,
    to_json_line,
)
from model.runs.file_names import METRICS_NAME, SAMPLES_NAME
from model.runs.storage import append_whole, cut_off, not_readable, not_writable

MIN_SECONDS_BETWEEN_STEPS = 0.1
"""Training time between two recorded steps; the steps between them are left out."""

MAX_SECONDS_BETWEEN_LINES = 60.0
"""A record without a new line for this time counts as abandoned; a validation may take as long."""


class RunRecord:
    """The files ``metrics.jsonl`` and ``samples.jsonl`` in one run's folder.

    Reading needs no lock; writing does.
    """

    def __init__(self, folder: Path, require_owner: Callable[[], None]) -> None:
        """Reads nothing yet.

        Args:
            folder: of the run.
            require_owner: raises OSError if this process may not write into the folder any more.
        """
        self.folder = folder
        self._require_owner = require_owner

    def append_line(self, file_name: str, line: str) -> None:
        """Appends one line to a file; on failure, no part of the line stays.

        Raises:
            OSError: the file system refuses, or another run has this folder now.
        """
        self._require_owner()
        append_whole(self.folder / file_name, f"{line}\n".encode())

    def forget_after(self, step: int) -> None:
        """Cuts off the lines about steps after ``step``, which a resumed run makes again.

        Otherwise a curve would show those steps twice. An unfinished last line is cut off too,
        because the next line would continue it.

        Raises:
            RunFolderError: the file system refuses.
        """
        for name in (METRICS_NAME, SAMPLES_NAME):
            path = self.folder / name
            try:
                end = _end_of_step(path, step)
                if end < os.lstat(path).st_size:
                    cut_off(path, end)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise not_writable(path, error) from error

    def lines(self, file_name: str) -> Iterator[dict[str, Any]]:
        """Yields the JSON objects of a file; skips lines that are unfinished or not JSON objects.

        Raises:
            CheckpointError: the file exists and cannot be read.
        """
        try:
            yield from JsonLines(self.folder / file_name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise not_readable(self.folder / file_name, error) from error

    def read_lines(self, file_name: str) -> list[dict[str, Any]]:
        """Returns what `lines` yields."""
        return list(self.lines(file_name))

    def last_event(self) -> RecordedUnion | None:
        """Returns the last event that is not a saved checkpoint; None if there is none.

        Raises:
            CheckpointError: the record exists and cannot be read.
        """
        path = self.folder / METRICS_NAME
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
            raise not_readable(path, error) from error
        return None

    def is_growing(self) -> bool:
        """Returns whether the record has no end and its last line is recent."""
        try:
            age = time.time() - os.lstat(self.folder / METRICS_NAME).st_mtime
        except OSError:
            return False
        try:
            last = self.last_event()
        except CheckpointError:
            return False
        return age < MAX_SECONDS_BETWEEN_LINES and not isinstance(last, Finished)


class EventLog:
    """Appends events to a run's record, at most ten steps a second."""

    def __init__(self, record: RunRecord, on_record: Callable[[RecordedEvent], None]) -> None:
        """Writes nothing yet.

        Args:
            record: of the run, whose folder is locked.
            on_record: receives each event that is recorded.
        """
        self._record = record
        self._on_record = on_record
        self._last_step_time = float("-inf")
        self._failed = False

    def append(self, event: RecordedEvent) -> str | None:
        """Records the event; returns a sentence when the file system begins to refuse.

        A refusal does not end the training.
        """
        if isinstance(event, StepFinished):
            if event.time - self._last_step_time < MIN_SECONDS_BETWEEN_STEPS:
                return None
            self._last_step_time = event.time
        self._on_record(event)
        line = to_json_line(event)
        try:
            self._record.append_line(METRICS_NAME, line)
            if isinstance(event, SampleRecorded):
                self._record.append_line(SAMPLES_NAME, line)
        except OSError as error:
            if self._failed:
                return None
            self._failed = True
            return f"{self._record.folder}: metrics not written ({error.strerror})"
        self._failed = False
        return None


def _end_of_step(path: Path, last_step: int) -> int:
    """Returns the offset behind the lines before the first one about a step after ``last_step``."""
    lines = JsonLines(path)
    end = 0
    for line in lines.lines():
        record = object_of(line)
        step = None if record is None else record.get("step")
        if isinstance(step, int) and last_step < step <= sys.maxsize:
            break
        end = lines.offset
    return end
