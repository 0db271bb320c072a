"""The record of a run: its events as lines of ``metrics.jsonl``, its samples apart as well."""

from __future__ import annotations

from collections.abc import Callable

from model.events import RecordedEvent, SampleRecorded, StepFinished, to_json_line
from model.runs.folder import METRICS_NAME, SAMPLES_NAME, RunFolder

SECONDS_BETWEEN_STEPS = 0.1


class EventLog:
    """Appends events to a run's files, steps at most ten a second."""

    def __init__(self, folder: RunFolder, on_record: Callable[[RecordedEvent], None]) -> None:
        self._folder = folder
        self._on_record = on_record
        self._last_step_time = float("-inf")
        self._failed = False

    def append(self, event: RecordedEvent) -> str | None:
        """Records the event; returns a sentence the first time that the file system refuses.

        Losing the record is no reason to lose the training, so it goes on either way.
        """
        if isinstance(event, StepFinished):
            if event.time - self._last_step_time < SECONDS_BETWEEN_STEPS:
                return None
            self._last_step_time = event.time
        self._on_record(event)
        line = to_json_line(event)
        try:
            self._folder.append_line(METRICS_NAME, line)
            if isinstance(event, SampleRecorded):
                self._folder.append_line(SAMPLES_NAME, line)
        except OSError as error:
            if self._failed:
                return None
            self._failed = True
            return f"{self._folder.path}: metrics not written ({error.strerror})"
        self._failed = False
        return None
