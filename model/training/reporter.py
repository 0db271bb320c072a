"""The events of one training, and the files of the run that keep them. PyTorch for TensorBoard."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from corpus.files.missing_guarantees import take_missing
from model.compute.device import Machine
from model.events import (
    CheckpointSaved,
    Event,
    Finished,
    FinishReason,
    RecordedEvent,
    RunStarted,
    SampleRecorded,
    SaveFailed,
    StepFinished,
    TrainingState,
    TrainingStateChanged,
    Validated,
    WarningRaised,
)
from model.events.recorded import STOPPED_FALLING, STUDENT_BEGINS
from model.network.published import PublishedWeights
from model.network.snapshot import WeightSnapshot
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_store import CheckpointSaver
from model.runs.metrics_log import EventLog
from model.runs.open import OpenedRun
from model.runs.tensorboard import TensorBoardLog
from model.timing import Throughput
from model.training.divergence_guard import Verdict
from model.training.trainer import Trainer
from model.training.update import StepResult

Publish = Callable[[PublishedWeights], None]
"""Takes new weights for the sampler; never waits."""


class Reporter:
    """Makes events with the training time of now, records some, and publishes weights."""

    def __init__(
        self,
        run: OpenedRun,
        *,
        seconds: Callable[[], float],
        publish: Publish,
        on_record: Callable[[RecordedEvent], None],
        tensorboard: bool,
    ) -> None:
        """Opens the run's files.

        Args:
            run: the run.
            seconds: returns the training time of now.
            publish: is handed weights for the sampler.
            on_record: is handed each event that goes into ``metrics.jsonl``.
            tensorboard: whether to write TensorBoard's form as well.
        """
        self._run = run
        self._seconds = seconds
        self._publish = publish
        self._on_record = on_record
        step = 0 if run.resumed is None else run.resumed.metadata.step
        self._board = TensorBoardLog(run.folder.path, first_step=step) if tensorboard else None
        self._log = EventLog(run.folder.record, self._record)
        self._reported_step = -1
        self._loss: tuple[int, float | None] = (-1, None)
        """Step and nats per character of the last validation."""
        self._kept_epoch = 0
        """The last epoch whose weights were handed on."""

    def close(self) -> None:
        """Closes TensorBoard's file."""
        if self._board is not None:
            self._board.close()

    def recorded(self, event: Event) -> Iterator[Event]:
        """Yields the event after it went into the run's files, then warnings about them."""
        yield event
        if isinstance(event, RecordedEvent):
            problem = self._log.append(event)
            if problem is not None:
                yield self.warning(problem)
            if self._board is not None and (failure := self._board.take_failure()):
                yield self.warning(f"{self._run.folder.path}: TensorBoard's file: {failure}")

    def _record(self, event: RecordedEvent) -> None:
        self._on_record(event)
        if self._board is not None:
            self._board.write(event)

    def publish(self, snapshot: WeightSnapshot, *, best: bool = False) -> None:
        """Hands weights to the sampler."""
        self._publish(self._published(snapshot, best=best))

    def _published(self, snapshot: WeightSnapshot, *, best: bool = False) -> PublishedWeights:
        return PublishedWeights(
            snapshot=snapshot,
            vocabulary=self._run.corpus.vocabulary,
            window=self._run.training.window,
            best=best,
        )

    def started(self, trainer: Trainer, machine: Machine, threads: int) -> RunStarted:
        """Returns the event that a session of the run began; ``threads`` of all processes."""
        run = self._run
        return RunStarted(
            time=self._seconds(),
            run=run.folder.name,
            corpus=run.corpus.name,
            characters=len(run.corpus),
            vocabulary=len(run.corpus.vocabulary),
            parameters=trainer.network.parameter_count(),
            preset=run.preset,
            device=str(machine.device),
            precision=machine.precision,
            threads=threads,
            seed=run.training.seed,
            new_text=not run.keeps_its_best,
            plan="" if run.plan is None else run.plan.sentence,
            network=run.model.title,
        )

    def step(self, result: StepResult, reason: str, speed: float) -> Iterator[Event]:
        """Yields what is known of a step for the first time.

        With `DeferredUpdate` the first result of a session is of a step that was reported.

        Args:
            result: the figures and the verdict.
            reason: why the step was not applied.
            speed: recent characters per second.
        """
        if result.step == self._reported_step:
            return
        self._reported_step = result.step
        if result.verdict is Verdict.APPLY:
            yield StepFinished(
                time=self._seconds(),
                step=result.step,
                epoch=result.epoch,
                loss=result.loss,
                learning_rate=result.learning_rate,
                gradient_norm=result.gradient_norm,
                characters_per_second=speed,
            )
        elif result.verdict is Verdict.ROLL_BACK:
            yield self.warning(
                f"step {result.step}: {reason}; went back to the last good "
                "weights and halved the learning rate"
            )
        else:
            yield self.warning(f"step {result.step}: {reason}; the step was skipped")

    def validated(self, trainer: Trainer, nats: float, *, best: WeightSnapshot | None) -> Validated:
        """Returns the event of a finite validation loss, and hands on the best weights.

        Args:
            trainer: whose weights were validated.
            nats: their loss per character.
            best: the weights if this is the lowest loss of the run so far, otherwise None.
        """
        self._loss = (trainer.step_count, nats)
        if best is not None:
            kept = self._published(best)
            self._publish(replace(kept, kept_as="best", nats_per_character=nats))
        return Validated(
            time=self._seconds(),
            step=trainer.step_count,
            epoch=trainer.epoch,
            nats_per_character=nats,
            bits_per_character=nats / math.log(2),
            best=best is not None,
        )

    def sampled(
        self, trainer: Trainer, temperature: float, prompt: str, text: str
    ) -> SampleRecorded:
        """Returns the event of a sample after an epoch; the first one hands on the weights."""
        if trainer.epoch != self._kept_epoch:
            self._kept_epoch = trainer.epoch
            step, nats = self._loss
            self._publish(
                replace(
                    self._published(trainer.snapshot()),
                    kept_as="epoch",
                    epoch=trainer.epoch,
                    nats_per_character=nats if step == trainer.step_count else None,
                )
            )
        return SampleRecorded(
            time=self._seconds(),
            step=trainer.step_count,
            epoch=trainer.epoch,
            temperature=temperature,
            seed=self._run.training.seed,
            prompt=prompt,
            text=text,
        )

    def saved(
        self, checkpoint: Checkpoint, path: Path | None, saver: CheckpointSaver
    ) -> Iterator[Event]:
        """Yields what became of a save; ``path`` is None where the file system refused it."""
        yield from self.missing_guarantees()
        if path is None:
            failure = saver.failure or ""
            yield self.warning(failure)
            yield SaveFailed(sentence=failure)
        else:
            metadata = checkpoint.metadata
            yield CheckpointSaved(
                time=self._seconds(), step=metadata.step, path=str(path), best=metadata.best
            )

    def finished(
        self, reason: FinishReason, step: int, best: float | None, speed: Throughput
    ) -> Finished:
        """Returns the event of the end; ``best`` is the lowest loss, nats per character."""
        return Finished(
            time=self._seconds(),
            reason=reason,
            step=step,
            best_nats_per_character=best,
            best_bits_per_character=None if best is None else best / math.log(2),
            seconds=self._seconds(),
            characters_per_second=speed.mean,
        )

    def missing_guarantees(self) -> Iterator[Event]:
        """Yields a warning for each thing that the file system turned out not to guarantee."""
        for sentence in take_missing():
            yield self.warning(sentence)

    def stopped_falling(self, *, ends: bool) -> WarningRaised:
        """Returns the warning that the validation loss falls no longer.

        Args:
            ends: whether the training ends because of it.
        """
        ending = "; the training ends here" if ends else ""
        return self.warning(f"{STOPPED_FALLING}{ending}")

    def student_begins(self, teacher: Trainer) -> Iterator[Event]:
        """Yields that another network begins; the teacher writes for now."""
        self.publish(teacher.snapshot())
        yield self.warning(STUDENT_BEGINS)
        step = teacher.step_count
        yield teacher.schedule.with_student(step, self._seconds()).planned(self._run.model, step)

    def warning(self, text: str) -> WarningRaised:
        """Returns a warning."""
        return WarningRaised(time=self._seconds(), text=text)

    @staticmethod
    def state(state: TrainingState) -> TrainingStateChanged:
        """Returns the event that the training is in another state."""
        return TrainingStateChanged(state=state)
