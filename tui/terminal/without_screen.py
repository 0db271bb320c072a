"""Training that continues after its terminal has closed: ``--on-hangup continue``.

The output that ``train`` would print goes into a file in the run's folder.
"""

from __future__ import annotations

import io
import os
import queue
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from corpus.files.regular_file import open_to_append
from model.commands import ContinueTraining, HoldWriting
from model.events import CharacterWritten, Event, Finished, SessionRefused, WorkerCrashed
from model.runs.file_names import LOG_NAME
from tui.console.exit_status import FILE_SYSTEM, INTERNAL, SIGNAL, status_of
from tui.console.reporters import LastingReporter, LineReporter
from tui.sanitise import one_line

if TYPE_CHECKING:
    from model.session.live import LiveSession

SECONDS_BETWEEN_LOOKS: Final = 0.5


class WithoutScreen:
    """Runs a training to its end without a screen."""

    def __init__(self, session: LiveSession, signals: queue.SimpleQueue[int]) -> None:
        """Takes over a session.

        Args:
            session: only this object may poll it from now on.
            signals: numbers of arriving signals; the first one except SIGHUP ends the training.
        """
        self._session = session
        self._signals = signals
        self._log: TextIO | None = None
        self._reporter: LastingReporter | None = None
        self._held: list[Event] = []
        self._status = 0

    def run(self, hang_up: int, seconds_to_save: float) -> int:
        """Waits until the training has ended and everything is saved.

        Args:
            hang_up: the signal that has already been handled.
            seconds_to_save: how long to wait for the last checkpoint.

        Returns:
            The exit status.
        """
        # No user reads the text, and without keys a pause would last for ever.
        self._session.post(HoldWriting())
        self._session.post(ContinueTraining())
        number: int | None = None
        try:
            while number is None and self._session.is_training:
                number = self._next_signal(hang_up)
                self._drain_events()
            saved = self._session.close(save=True, timeout=seconds_to_save)
            self._drain_events()
        finally:
            if self._log is not None:
                self._log.close()
        if number is not None:
            return SIGNAL + number
        if not saved:
            return INTERNAL
        return self._status or (FILE_SYSTEM if self._session.unsaved else 0)

    def _next_signal(self, hang_up: int) -> int | None:
        try:
            number = self._signals.get(timeout=SECONDS_BETWEEN_LOOKS)
        except queue.Empty:
            return None
        return None if number == hang_up else number

    def _drain_events(self) -> None:
        """Logs the events; keeps them until the run has a folder."""
        self._held += (
            event for event in self._session.poll() if not isinstance(event, CharacterWritten)
        )
        path = self._session.run_path
        if self._reporter is None and path is not None:
            self._open(path / LOG_NAME)
        if self._reporter is None:
            self._note_ends(self._held)
            self._held = self._held[-100:]
            return
        for event in self._held:
            self._reporter.show(event)
        self._note_ends(self._held)
        self._held.clear()

    def _open(self, path: Path) -> None:
        """Opens the log; the training continues if the disk refuses."""
        try:
            self._log = io.TextIOWrapper(open_to_append(path), encoding="utf-8", errors="replace")
            now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
            self._log.write(
                f"{now}  the terminal hung up; process {os.getpid()} goes on without a screen\n"
            )
            self._log.flush()
        except OSError:
            self._log = None
        lines = LineReporter(self._log) if self._log is not None else None
        if lines is not None:
            self._reporter = LastingReporter(lines, gone=lambda: None)

    def _note_ends(self, events: list[Event]) -> None:
        """Notes events that decide the exit status, and logs those that no reporter covers."""
        for event in events:
            if isinstance(event, SessionRefused):
                self._status = status_of(event.error)
                self._write(str(event.error))
            elif isinstance(event, WorkerCrashed) and event.worker == "trainer":
                self._status = INTERNAL
                self._write(event.sentence)
            elif isinstance(event, Finished) and event.reason == "diverged":
                self._status = INTERNAL

    def _write(self, sentence: str) -> None:
        if self._log is not None:
            try:
                self._log.write(one_line(sentence, 600) + "\n")
                self._log.flush()
            except OSError:
                self._log = None
