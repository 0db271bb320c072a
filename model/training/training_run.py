"""Runs a training as a generator of events: steps, validations, samples, checkpoints, the end.

The generator yields after each small unit of work and then reads its controls. It therefore works
in a thread, in the headless command and in a test. It never waits for an observer.
"""

from __future__ import annotations

import contextlib
import gc
import math
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial

from corpus import LoadCancelled, release_pages
from model.compute.gpu_monitor import GpuMonitor
from model.compute.malloc import give_back_memory, keep_freed_memory
from model.compute.torch_threads import prepare_thread
from model.distributed.process_group import ALONE, Instruction, ProcessGroup
from model.errors import RankLost, TrainingDiverged
from model.events import (
    ComputingChanged,
    Event,
    FinishReason,
    Preparing,
    RecordedEvent,
    TrainingStateChanged,
)
from model.network.pending_snapshot import PendingSnapshot
from model.plan.machine_speed import forget_wrong_speed
from model.presets import AUTO
from model.runs.checkpoint_store import CheckpointSaver
from model.runs.open import OpenedRun, open_run
from model.runs.request import RunRequest
from model.steppers.torch_lstm import stepper_beside_training
from model.system.refusal import refusal_of
from model.timing import Clock, Due, Stopwatch, Throughput
from model.training.autotune import choose_machine, measure_speed, retune, retune_times
from model.training.best import Best
from model.training.checkpointing import (
    checkpoint_of,
    engine_of,
    processes_of,
    starting_checkpoint,
    trainer_of,
)
from model.training.controls import TrainingControls
from model.training.epoch_samples import samples_of
from model.training.leader import Leader
from model.training.reporter import Publish, Reporter
from model.training.validation import (
    ValidationPace,
    affordable,
    affordable_before,
    validate,
)

SECONDS_BETWEEN_SNAPSHOTS = 0.5


class TrainingRun:
    """One session of a training; iterating over ``events`` does the work."""

    def __init__(
        self,
        request: RunRequest,
        controls: TrainingControls,
        *,
        publish: Publish = lambda published: None,  # noqa: ARG005
        on_record: Callable[[RecordedEvent], None] = lambda event: None,  # noqa: ARG005
        opened: OpenedRun | None = None,
        ranks: ProcessGroup = ALONE,
        clock: Clock = time.monotonic,
    ) -> None:
        """Prepares nothing yet.

        Args:
            request: what to train.
            opened: the run if it is already open; it is unlocked at the end.
            ranks: the processes that train together, led by this one (`model.training.follower`
                describes the others).
            controls: pause, save and stop requests, read between two units of work.
            publish: receives frozen weights twice a second, and the best weights at the end.
            on_record: receives each event that goes into ``metrics.jsonl``.
            clock: monotonic seconds.
        """
        self._request = request
        self._controls = controls
        self._publish = publish
        self._on_record = on_record
        self._clock = clock
        self._opened = opened
        self._leader = Leader(ranks, controls, clock)
        self._speed = Throughput()
        self._best = Best()
        self._scored: int | None = None
        """Maximum characters that each validation reads; None until that is decided."""
        self._is_enough = False
        self._began = False
        """Whether a step or a checkpoint was made, so that the run is worth keeping."""
        self.save_failure: str | None = None
        """Why the last checkpoint could not be saved; None if it was."""

    def events(self) -> Iterator[Event]:
        """Runs the training from preparation to the last checkpoint.

        Raises:
            UserError: the run cannot begin (text, settings, checkpoint, file system).
            TrainingDiverged: the run cannot continue; earlier events say what was saved.
            RankLost: another process is gone; earlier events say what was saved.
        """
        yield TrainingStateChanged(state="preparing")
        try:
            measure = partial(measure_speed, place=self._leader.ranks.place)
            run = self._opened or (yield from open_run(self._request, self._is_stopping, measure))
        except LoadCancelled:
            return
        self._run = run
        try:
            reporter = Reporter(
                run,
                seconds=lambda: self._watch.seconds,
                publish=self._publish,
                on_record=self._on_record,
                tensorboard=self._request.tensorboard,
            )
            with contextlib.closing(reporter) as self._reporter:
                yield from self._prepared()
                # A full garbage collection visits all objects of PyTorch, for a sixth of a second.
                # Freezing exempts those that exist now, which live until the end anyway.
                gc.freeze()
                try:
                    for event in self._session():
                        yield from reporter.recorded(event)
                finally:
                    gc.unfreeze()
                    self._trainer.close()
        except Exception:
            if not self._began:
                run.give_up()
            raise
        finally:
            run.folder.unlock()

    # --- phases of a session ----------------------------------------------------------------------

    def _prepared(self) -> Iterator[Event]:
        """Chooses the engine, builds the trainer and sends the run to the other processes."""
        resumed = self._run.resumed
        yield Preparing(stage="restoring the run" if resumed else "timing this machine")
        self._build()
        before = resumed.metadata.seconds if resumed else 0.0
        if self._leader.processes > 1:
            yield Preparing(stage=f"handing the run to {self._leader.processes} processes")
            self._leader.hand_over(starting_checkpoint(self._run, self._trainer, before))
        # Training time starts when every process has the run.
        self._watch = Stopwatch(self._clock, before)

    def _build(self) -> None:
        """Builds network and trainer, and restores the state of a resumed run."""
        run, ranks = self._run, self._leader.ranks
        keep_freed_memory()
        self._machine = choose_machine(
            run.training,
            run.model,
            len(run.corpus.vocabulary),
            used_before=engine_of(run, self._leader.processes),
            place=ranks.place,
        )
        give_back_memory()
        # OpenMP threads spin for milliseconds after short work between two steps, on cores that the
        # next step needs, unless OMP_WAIT_POLICY forbids it.
        prepare_thread(self._machine.engine.threads_per_shard)
        self._trainer = trainer_of(run, self._machine, ranks)
        if run.resumed is not None and run.keeps_its_best:
            metadata, schedule = run.resumed.metadata, self._trainer.schedule
            since = schedule.first_step if schedule.role == "student" else None
            self._best.restore(metadata, run.folder.checkpoints, student_since=since)
            self._scored = affordable_before(metadata)
        # A resumed run keeps the engine of its checkpoint, so that it continues exactly.
        is_open = run.resumed is None and self._leader.processes == 1
        self._retune_times = retune_times(run.training) if is_open else []
        before = None if run.resumed is None else run.resumed.metadata
        has_other_plan = before is not None and before.training != run.training
        # Another plan is saved at the end even without a step, unless that would lose anything.
        is_unsaved = has_other_plan and run.goes_on_in_its_epoch
        saved_step = -1 if before is None or is_unsaved else before.step
        self._saver = CheckpointSaver(run.folder.checkpoints, self._clock, saved_step)
        self._accelerator = GpuMonitor(self._machine.device, self._clock)

    def _session(self) -> Iterator[Event]:
        run, trainer = self._run, self._trainer
        threads = self._machine.threads * self._leader.processes
        yield self._reporter.started(trainer, self._machine, threads)
        yield trainer.schedule.planned(run.model, trainer.step_count)
        notes = trainer.schedule.notes(trainer.step_count, self._watch.seconds)
        notes += [*run.notes, *self._machine.notes, *self._leader.note(processes_of(run))]
        yield from map(self._reporter.warning, notes)
        yield from self._reporter.missing_guarantees()
        trainer.save_rollback_point()
        self._reporter.publish(self._best.teacher(run.folder.checkpoints) or trainer.snapshot())
        reason: FinishReason = "completed"
        diverged: TrainingDiverged | None = None
        yield self._reporter.state("training")
        try:
            yield from self._train()
        except TrainingDiverged as error:
            reason, diverged = "diverged", error
            yield self._reporter.warning(str(error))
        except RankLost as error:
            # The other processes' carried state is lost; the weights belong to a complete step.
            yield self._reporter.warning(str(error))
            yield from self._save(carried=False)
            raise
        except Exception as error:
            # The steps since the last checkpoint are complete. If memory ran out, they are saved.
            unsaved = self._began and trainer.step_count > self._saver.saved_step
            if unsaved and refusal_of(error) is not None:
                yield from self._save()
            raise
        if self._controls.abandoned:
            return
        if diverged is None:
            reason = "completed" if self._plan_is_done() else "stopped"
            yield from self._wind_up()
            self._leader.say(Instruction.END)
        yield self._reporter.finished(reason, trainer.step_count, self._best.nats, self._speed)
        measured = (run.training, self._leader.processes, run.model.network)
        forget_wrong_speed(run.expected_speed, self._speed.mean, *measured)
        yield self._reporter.state("finished")
        # If the file of the best weights is missing, the latest ones stay published.
        if (best := self._best.weights(run.folder.checkpoints)) is not None:
            self._reporter.publish(best, best=True)
        if diverged is not None:
            raise diverged

    def _train(self) -> Iterator[Event]:
        trainer, controls = self._trainer, self._controls
        snapshot_due, save_due = Due(self._clock), Due(self._clock)
        validations = ValidationPace(trainer, self._run, self._clock)
        coming: PendingSnapshot | None = None
        while not controls.stopping and not self._plan_is_done():
            if controls.paused or trainer.must_teach(self._watch.seconds):
                yield from self._pause() if controls.paused else self._teach()
                continue
            yield from self._step()
            if self._retune_times and self._watch.seconds >= self._retune_times[0]:
                yield from self._retune(self._retune_times.pop(0))
            if snapshot_due.after(SECONDS_BETWEEN_SNAPSHOTS):
                coming = None if self._best.teacher_leads else trainer.begin_snapshot()
                release_pages(self._run.corpus.ids)
                snapshot_due.restart()
                if measured := self._accelerator.read():
                    yield measured
            if coming is not None and coming.ready:
                self._reporter.publish(coming.snapshot())
                coming = None
            wanted = False
            due = validations.is_due(self._speed, self._scored, self._watch.seconds)
            if due and not controls.stopping:
                began = self._clock()
                wanted = yield from self._validate()
                validations.restart(self._watch.seconds, self._clock() - began)
            if not trainer.steps_left_in_epoch and not controls.stopping:
                yield from self._sample()
            wanted |= save_due.after(self._run.training.checkpoint_every)
            if controls.take_save() or self._saver.should_save(wanted=wanted):
                yield from self._save()
                save_due.restart()

    def _retune(self, seconds: float) -> Iterator[Event]:
        """Times the engines again and switches if another one is clearly faster now."""
        run, before = self._run, self._machine
        symbols = len(run.corpus.vocabulary)
        self._machine = retune(before, run.training, run.model, symbols, seconds)
        give_back_memory()
        prepare_thread(self._machine.engine.threads_per_shard)
        if self._machine != before:
            self._trainer.compute_on(self._machine)
            threads = f"{before.threads} to {self._machine.threads}"
            yield ComputingChanged(threads=self._machine.threads)
            yield self._reporter.warning(
                f"timed again, another way of computing is faster now (threads: {threads})"
            )

    def _pause(self) -> Iterator[Event]:
        """Waits for the pause to end, and saves on request; pauses are not training time."""
        self._watch.pause()
        yield self._reporter.state("paused")
        while self._controls.paused:
            self._controls.wait_while_paused()
            if self._controls.take_save():
                yield from self._save()
        self._watch.go_on()
        if not self._controls.stopping:
            yield self._reporter.state("training")

    def _step(self) -> Iterator[Event]:
        began, seconds = self._clock(), self._watch.seconds
        self._leader.say(Instruction.STEP, seconds)
        result = self._trainer.step(seconds)
        self._began = True
        self._speed.add(result.characters, self._clock() - began)
        yield from self._reporter.step(result, self._trainer.reason, self._speed.recent)

    def _teach(self) -> Iterator[Event]:
        """Lets a teacher read the text, and begins its student unless that goes on."""
        trainer, begins = self._trainer, self._trainer.schedule.trains_teacher
        if begins:
            yield from self._wind_up()
        if self._is_stopping():
            return
        self._watch.pause()
        yield Preparing(stage="the teacher reads the text")
        self._leader.say(Instruction.TEACH)
        if not trainer.teach(self._is_stopping):
            return
        self._watch.go_on()
        if begins:
            self._leader.say(Instruction.STUDENT, seconds := self._watch.seconds)
            yield from self._reporter.student_begins(trainer)
            trainer.begin_student(seconds)
            self._best.begin_student()
        yield self._reporter.state("training")

    def _wind_up(self) -> Iterator[Event]:
        """Validates and saves the latest weights if that has not been done."""
        if self._best.nats_at(self._trainer.step_count) is None and not self._controls.hurried:
            yield from self._validate()
        if self._trainer.step_count > self._saver.saved_step or self.save_failure:
            yield from self._save()

    def _is_stopping(self) -> bool:
        return self._controls.stopping

    def _plan_is_done(self) -> bool:
        progress = self._trainer.schedule.progress
        return self._is_enough or progress(self._trainer.step_count, self._watch.seconds) == 1

    # --- validation, samples, checkpoints ---------------------------------------------------------

    def _validate(self) -> Generator[Event, None, bool]:
        """Scores the held-out part; returns whether its loss is the run's lowest so far."""
        run, trainer, held_out = self._run, self._trainer, self._run.split.held_out
        if len(held_out) < 2:
            trainer.save_rollback_point()
            return False
        yield self._reporter.state("validating")
        if self._scored is None:
            self._scored = affordable(trainer, run.training, self._speed.recent)
        is_hurried = self._leader.is_hurried
        validation = validate(trainer, held_out, run.training, is_hurried, self._scored)
        if validation is None:
            return False
        nats = validation.nats
        if self._best.stays_lost(validation):
            yield self._reporter.warning(validation.lost_sentence)
        if not math.isfinite(nats):
            yield self._reporter.warning("the validation loss is not finite; it was left out")
            yield self._reporter.state("training")
            return False
        best = self._best.record(trainer, nats, self._watch.seconds)
        yield self._reporter.validated(trainer, nats, best=self._best.snapshot if best else None)
        if not trainer.schedule.trains_teacher and self._best.has_stopped_falling():
            self._is_enough = run.preset == AUTO
            yield self._reporter.stopped_falling(ends=self._is_enough)
        yield self._reporter.state("training")
        return best

    def _sample(self) -> Iterator[Event]:
        """Samples a text at each temperature."""
        stepper = stepper_beside_training(self._machine.device)
        samples = samples_of(self._run, self._trainer, self._is_stopping, stepper)
        for temperature, prompt, text in samples:
            yield self._reporter.sampled(self._trainer, temperature, prompt, text)

    def _save(self, *, carried: bool = True) -> Iterator[Event]:
        """Saves a checkpoint; a failure is reported and training continues."""
        run, trainer = self._run, self._trainer
        if self._controls.abandoned:
            return
        if trainer.schedule.is_new_student(trainer.step_count):  # it would replace its teacher's
            yield self._reporter.warning("the student has made no step; its teacher is saved")
            return
        if carried:
            self._leader.say(Instruction.GATHER)
        checkpoint = checkpoint_of(
            run,
            trainer,
            nats=self._best.nats_at(trainer.step_count),
            best_nats=self._best.nats,
            seconds=self._watch.seconds,
            scored=self._scored,
            carried=carried,
        )
        path = self._saver.save(checkpoint)
        self._began = self._began or path is not None
        self.save_failure = self._saver.failure
        yield from self._reporter.saved(checkpoint, path, self._saver)
