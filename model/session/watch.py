"""A session that follows a run which another process trains. No torch.

It reads the curves from the run's ``metrics.jsonl`` and samples text from the newest checkpoint.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from corpus.files.json_reader import JsonLines
from model.commands import (
    Command,
    ContinueTraining,
    JudgeLetter,
    PauseTraining,
    SaveCheckpoint,
    StartDuel,
    StopTraining,
)
from model.config import SamplingConfig
from model.constraint_config import Constraints
from model.errors import CheckpointError
from model.events import (
    CheckpointSaved,
    Event,
    Planned,
    Preparing,
    RecordedUnion,
    RunStarted,
    RunWatched,
    StepFinished,
    TrainingState,
    TrainingStateChanged,
    Validated,
    WarningRaised,
    recorded_event,
)
from model.events.recorded import STUDENT_BEGINS
from model.runs.checkpoint_file import read_checkpoint
from model.runs.folder import RunFolder
from model.runs.lock import RunLock
from model.session.analysis_thread import Analysis
from model.session.duel_scores import DuelScores
from model.session.event_queue import EventQueue
from model.session.kept_weights import kept_weights, lanes_of
from model.session.race_runner import LaneSource
from model.session.rivals import rivals
from model.session.sampler_thread import SamplerThread
from model.system.refusal import crash_of
from model.training.schedule import Schedule

LOOK_PAUSE: Final = 0.5
"""Seconds between two checks of the run's folder."""


class WatchSession:
    """Follows a run's folder; never writes to it."""

    def __init__(
        self,
        folder: RunFolder,
        *,
        sampling: SamplingConfig,
        rate: float,
        prompt: str = "",
        seed: int | None = None,
        constraints: Constraints | None = None,
    ) -> None:
        """Creates the session without starting its threads.

        Args:
            folder: folder of the run.
            sampling: initial settings that characters are sampled with.
            rate: initial characters per second.
            prompt: text that the model continues.
            seed: seed of the first text; None draws a random one.
            constraints: what the text obeys at first; None for nothing.
        """
        self._folder = folder
        self._events = EventQueue()
        self._sampler = SamplerThread(
            sampling=sampling, rate=rate, prompt=prompt, seed=seed, constraints=constraints
        )
        self._analysis = Analysis(self._events.put, self._sampler.offer)
        self._stopping = threading.Event()
        self._identity: str | None = None
        """Identity of the watched run; None before its folder exists."""
        self._planned: Planned | None = None
        self._last_step = 0
        self._student_since: int | None = None
        """Steps before those of a student that began; None if none has."""
        self._is_deleted = False
        self._watched: RunWatched | None = None
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self.unsaved = False
        """Always False, because this session saves nothing."""
        self.run_path: Path | None = None
        self.is_training = False
        """Always False, because another process trains the run."""

    def start(self) -> None:
        """Starts both threads and returns immediately."""
        self._sampler.start()
        self._thread.start()

    def post(self, command: Command) -> None:
        """Passes a command to the sampler; a training command only raises a warning."""
        match command:
            case PauseTraining() | ContinueTraining() | StopTraining() | SaveCheckpoint():
                words = "only the process that trains this run can do that"
                self._events.put(WarningRaised(time=0.0, text=words))
            case StartDuel() | JudgeLetter():
                self._analysis.duel.post(command)
            case _:
                self._analysis.post(command)
                self._sampler.post(command)

    def poll(self) -> Sequence[Event]:
        """Returns the events since the last call: first the run's, then the sampler's."""
        return [*self._events.take_all(), *self._sampler.take()]

    def close(self, *, save: bool = True, timeout: float = 30.0) -> bool:  # noqa: ARG002
        """Stops and joins both threads.

        Returns:
            Whether both threads ended; each is waited for at most ``timeout`` seconds.
        """
        self._stopping.set()
        self._sampler.stop()
        self._analysis.stop()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return self._sampler.join(timeout) and not self._thread.is_alive()

    # --- inside the watcher's thread --------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # noqa: BLE001 - the top of a worker: a defect becomes an event
            self._events.put(crash_of("trainer", "watching", error))

    def _follow(self) -> None:
        metrics = GrowingFile(self._folder.path / "metrics.jsonl")
        self._identity = self._folder.identity()
        shown: TrainingState | None = None
        published: Path | None = None
        self._events.put(Preparing(stage="waiting for the run's first checkpoint"))
        while True:
            if self._is_replaced():
                return
            for event in metrics.events():
                self._note_student(event)
                self._events.put(event)
            published = self._publish_newest(published)
            now: TrainingState = "training" if self._folder.is_being_written() else "finished"
            self._report_writer(is_trained=now == "training")
            if now != shown and (published is not None or now == "training"):
                self._events.put(TrainingStateChanged(state=now))
                shown = now
            if self._stopping.wait(LOOK_PAUSE):
                return

    def _report_writer(self, *, is_trained: bool) -> None:
        """Reports which process trains the run, if that has changed."""
        holder = RunLock(self._folder.path).holder() if is_trained else None
        watched = RunWatched(
            run=self._folder.name,
            is_trained=is_trained,
            process=None if holder is None else holder.process,
            host=None if holder is None else holder.host,
        )
        if watched != self._watched and not self._is_deleted:
            self._watched = watched
            self._events.put(watched)

    def _is_replaced(self) -> bool:
        """Returns whether another run has replaced the watched one; if so, also warns the user.

        The curves and text of another run must not be mixed with those of the watched run. The
        folder of a deleted run has no identity, and another run may or may not follow.
        """
        now = self._folder.identity()
        if now is None and self._identity is not None and not self._is_deleted:
            self._is_deleted = True
            words = f"{self._folder.name} was deleted; its text goes on with the last weights"
            self._events.put(WarningRaised(time=0.0, text=words))
        if now is None or now == self._identity:
            return False
        if self._identity is None:  # the folder did not exist before
            self._identity = now
            return False
        name = self._folder.name
        words = f"{name} was deleted, and another run now has its name; watch it again"
        self._events.put(WarningRaised(time=0.0, text=words))
        self._events.put(TrainingStateChanged(state="finished"))
        return True

    def _note_student(self, event: RecordedUnion) -> None:
        """Reports a student that begins, before it is in a checkpoint."""
        if isinstance(event, RunStarted):
            self._student_since = None
        elif isinstance(event, StepFinished | Validated | CheckpointSaved):
            self._last_step = event.step
        elif isinstance(event, WarningRaised) and event.text == STUDENT_BEGINS:
            self._student_since = self._last_step
            if self._planned is not None:
                self._plan(self._planned)

    def _plan(self, planned: Planned) -> None:
        """Reports the plan if it is a new one."""
        since = self._student_since
        if planned.role == "teacher" and since is not None:
            planned = replace(planned, role="student", first_step=since, network_since=since)
        if planned != self._planned:
            self._planned = planned
            self._events.put(planned)

    def _publish_newest(self, published: Path | None) -> Path | None:
        """Passes the newest checkpoint to the sampler if it is new; returns the sampler's one."""
        paths = self._folder.checkpoints.paths()
        if not paths or paths[-1] == published:
            return published
        try:
            checkpoint = read_checkpoint(paths[-1])
        except CheckpointError:  # pruned meanwhile, or damaged: the next check decides
            return published
        if self._folder.identity() not in {None, self._identity}:
            return published
        metadata = checkpoint.metadata
        # Runs of older versions do not record the length of an epoch.
        steps = int(metadata.progress.get("steps_per_epoch", 0))
        schedule = Schedule(training=metadata.training, steps_per_epoch=steps)
        schedule = schedule.resumed(metadata.progress)
        self._plan(schedule.planned(metadata.model, schedule.first_step))
        if published is None:
            others = partial(rivals, self._folder.path.parent, metadata.model.network)
            scores = DuelScores(None, "you only watch this run")
            self._analysis.start_again(metadata, scores, others)
            kept = kept_weights(self._folder.checkpoints)
        else:
            kept = lanes_of(checkpoint, best=metadata.best)
        for lane in kept:
            self._sampler.offer(LaneSource.of_weights(lane))
        weights = checkpoint.published()
        self._sampler.publish(weights)
        self._analysis.publish(weights)
        return paths[-1]


class GrowingFile:
    """A file of JSON lines that another process appends to."""

    def __init__(self, path: Path) -> None:
        self._lines = JsonLines(path)

    def events(self) -> Iterator[RecordedUnion]:
        """Yields the events of complete new lines; skips lines that hold no known event."""
        with contextlib.suppress(OSError):  # missing, or not a file: the next check decides
            for record in self._lines:
                event = recorded_event(record)
                if event is not None:
                    yield event
