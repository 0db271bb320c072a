"""A whole training, as a generator of events: steps, validations, samples, checkpoints, the end.

It yields after each small unit of work and looks at its controls between two of them, so it runs
the same under a thread, under the headless command and under a test without either. It never
waits for whoever watches.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import math
import time
from collections.abc import Callable, Generator, Iterator

import torch

from corpus import LoadCancelled, release_pages
from corpus.files.missing_guarantees import take_missing
from model.compute.gpu_monitor import GpuMonitor
from model.compute.malloc import give_back_memory, keep_freed_memory
from model.compute.torch_threads import prepare_thread
from model.distributed.process_group import ALONE, Instruction, ProcessGroup
from model.errors import CheckpointError, RankLost, TrainingDiverged
from model.events import (
    CheckpointSaved,
    ComputingChanged,
    Event,
    Finished,
    FinishReason,
    Preparing,
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
from model.network.make import make_network
from model.network.pending_snapshot import PendingSnapshot
from model.network.published import PublishedWeights
from model.network.snapshot import WeightSnapshot
from model.runs.checkpoint_form import STATE_PREFIX
from model.runs.checkpoint_store import CheckpointSaver
from model.runs.metrics_log import EventLog
from model.runs.open import OpenedRun, open_run
from model.runs.request import RunRequest
from model.runs.tensorboard import TensorBoardLog
from model.sampling.torch_lstm import stepper_beside_training
from model.system.refusal import refusal_of
from model.timing import Clock, Due, Stopwatch, Throughput
from model.training.autotune import choose_machine, retune, retune_times
from model.training.best import Best
from model.training.checkpointing import checkpoint_of, engine_of, processes_of
from model.training.controls import TrainingControls
from model.training.divergence_guard import Verdict
from model.training.epoch_samples import seed_text, write_samples
from model.training.leader import Leader
from model.training.trainer import Trainer
from model.training.validation import (
    DEAR_PAUSE,
    MAX_VALIDATION_CHARACTERS,
    affordable,
    guessed_cost,
    next_pause,
    validate,
)

SECONDS_BETWEEN_SNAPSHOTS = 0.5

Publish = Callable[[PublishedWeights], None]
"""Takes new weights for the sampler; never waits."""


class TrainingRun:
    """One session of training; ``events`` is the work."""

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
            opened: the run, where it was opened already; it is unlocked at the end.
            ranks: the processes that train together, of which this one leads
                (`model.training.follower`).
            controls: read between two units of work.
            publish: is handed frozen weights twice a second, and the best ones at the end.
            on_record: is handed each event that goes into ``metrics.jsonl``.
            clock: monotonic seconds.
        """
        self._request = request
        self._controls = controls
        self._publish = publish
        self._on_record = on_record
        self._clock = clock
        self._opened = opened
        self._leader = Leader(ranks, controls, clock)
        self._board: TensorBoardLog | None = None
        self._speed = Throughput()
        self._best = Best()
        self._scored: int | None = None
        """Characters that each validation scores at most, once that is decided."""
        self._reported_step = -1
        self._began = False
        """Whether there is anything of the run to go on with."""
        self.last_save_failed = False

    def events(self) -> Iterator[Event]:
        """Does the work, from preparing to the last checkpoint.

        Raises:
            UserError: the run cannot begin (text, settings, checkpoint, file system).
            TrainingDiverged: it cannot go on; the events before this say what was saved.
            RankLost: another process is gone; likewise.
        """
        yield TrainingStateChanged(state="preparing")
        try:
            run = self._opened or (yield from open_run(self._request, self._is_cancelled))
        except LoadCancelled:
            return
        self._run = run
        try:
            yield Preparing(stage="timing this machine")
            self._build()
            if self._leader.processes > 1:
                yield Preparing(stage=f"handing the run to {self._leader.processes} processes")
            self._share()
            # The interpreter looks through all objects now and then, for a sixth of a second with
            # PyTorch's, in which nobody trains, writes or draws. What is there by now stays anyway.
            gc.freeze()
            try:
                for event in self._session():
                    yield from self._recorded(event)
            finally:
                gc.unfreeze()
                self._trainer.close()
        except Exception:
            if not self._began:
                run.give_up()
            raise
        finally:
            if self._board is not None:
                self._board.close()
            run.folder.unlock()

    # --- the course of a session ------------------------------------------------------------------

    def _is_cancelled(self) -> bool:
        return self._controls.stopping

    def _build(self) -> None:
        """Builds network and trainer, and puts a resumed one where it was."""
        run = self._run
        keep_freed_memory()
        self._log = EventLog(run.folder.record, self._record)
        step = 0 if run.resumed is None else run.resumed.metadata.step
        if self._request.tensorboard:
            self._board = TensorBoardLog(run.folder.path, first_step=step)
        self._machine = choose_machine(
            run.training,
            run.model,
            len(run.corpus.vocabulary),
            used_before=engine_of(run, self._leader.processes),
            place=self._leader.ranks.place,
        )
        give_back_memory()
        # Threads that shared the short sums between two steps may stay awake for milliseconds
        # (unless OMP_WAIT_POLICY tells them not to), on the cores that the next step needs.
        prepare_thread(self._machine.engine.threads_per_shard)
        torch.manual_seed(run.training.seed)
        network = make_network(run.model, len(run.corpus.vocabulary))
        network.load_arrays(run.weights)
        self._trainer = Trainer(
            network, run.batches, run.training, self._machine, self._leader.ranks
        )
        self._seconds_before = 0.0
        if run.resumed is not None:
            metadata = run.resumed.metadata
            if run.weights_only:
                self._trainer.step_count = metadata.step
            else:
                self._trainer.restore(
                    run.resumed.tensors, metadata.progress, same_text=run.goes_on_in_its_epoch
                )
            self._seconds_before = metadata.seconds
            if run.keeps_its_best:
                self._best.restore(metadata)
                # Runs of older versions scored as many as there may be.
                most = MAX_VALIDATION_CHARACTERS if self._best.nats is not None else None
                self._scored = metadata.progress.get("validation_characters", most)
        # A resumed run goes on exactly as its checkpoint was computed.
        is_open = run.resumed is None and self._leader.processes == 1
        self._retune_times = retune_times(run.training) if is_open else []
        saved_step = -1 if run.resumed is None else run.resumed.metadata.step
        self._saver = CheckpointSaver(run.folder.checkpoints, self._clock, saved_step)
        self._accelerator = GpuMonitor(self._machine.device, self._clock)

    def _share(self) -> None:
        """Hands the run to the other processes as a checkpoint; time counts once they have it."""
        if self._leader.processes > 1:
            start = checkpoint_of(
                self._run,
                self._trainer,
                nats=None,
                best_nats=None,
                seconds=self._seconds_before,
                carried=False,
            )
            tensors = dict(start.tensors)
            if self._run.resumed is not None and self._run.goes_on_in_its_epoch:
                saved = self._run.resumed.tensors
                tensors |= {name: saved[name] for name in saved if name.startswith(STATE_PREFIX)}
            start = dataclasses.replace(start, tensors=tensors)
            self._leader.hand_over(start)
        self._watch = Stopwatch(self._clock, self._seconds_before)

    def _session(self) -> Iterator[Event]:
        run, trainer = self._run, self._trainer
        yield self._run_started()
        yield trainer.schedule.planned(run.model, trainer.step_count)
        for note in (*run.notes, *self._leader.note(processes_of(run))):
            yield self._warning(note)
        yield from self._missing_guarantees()
        trainer.save_rollback_point()
        self._hand_over(trainer.snapshot())
        reason: FinishReason = "completed"
        diverged: TrainingDiverged | None = None
        yield self._state("training")
        try:
            yield from self._train()
        except TrainingDiverged as error:
            reason, diverged = "diverged", error
            yield self._warning(str(error))
        except RankLost as error:
            # What the others carried is lost with them; the weights are those of whole steps.
            yield self._warning(str(error))
            yield from self._save(carried=False)
            raise
        except Exception as error:
            # The steps since the last checkpoint are whole: where memory is short, they are kept.
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
        yield self._finished(reason)
        yield self._state("finished")
        self._hand_over_best()
        if diverged is not None:
            raise diverged

    def _train(self) -> Iterator[Event]:
        trainer, controls = self._trainer, self._controls
        snapshot_due, save_due, validation_due = (Due(self._clock) for _ in range(3))
        validation_pause: float | None = None  # until a validation has told how long one takes
        coming: PendingSnapshot | None = None
        while not controls.stopping and not self._plan_is_done():
            if controls.paused:
                yield from self._pause()
                continue
            yield from self._step()
            if self._retune_times and self._watch.seconds >= self._retune_times[0]:
                yield from self._retune()
            if snapshot_due.after(SECONDS_BETWEEN_SNAPSHOTS):
                coming = trainer.begin_snapshot()
                release_pages(self._run.corpus.ids)
                snapshot_due.restart()
                if measured := self._accelerator.read():
                    yield measured
            if coming is not None and coming.ready:
                self._hand_over(coming.snapshot())
                coming = None
            pause = self._guessed_pause() if validation_pause is None else validation_pause
            is_cheap = validation_pause is None or pause < DEAR_PAUSE
            due = validation_due.after(pause) or (trainer.at_epoch_end and is_cheap)
            wanted = False
            if due and not controls.stopping:
                began = self._clock()
                wanted = yield from self._validate()
                validation_due.restart()
                validation_pause = next_pause(self._watch.seconds, self._clock() - began)
            if trainer.at_epoch_end and not controls.stopping:
                yield from self._sample()
            wanted |= save_due.after(self._run.training.checkpoint_every)
            if controls.take_save() or self._saver.should_save(wanted=wanted):
                yield from self._save()
                save_due.restart()

    def _retune(self) -> Iterator[Event]:
        """Goes over to another way of computing if it has become the faster one."""
        run, before = self._run, self._machine
        self._retune_times.pop(0)
        self._machine = retune(before, run.training, run.model, len(run.corpus.vocabulary))
        give_back_memory()
        prepare_thread(self._machine.engine.threads_per_shard)
        if self._machine != before:
            self._trainer.compute_on(self._machine)
            threads = f"{before.threads} to {self._machine.threads}"
            yield ComputingChanged(threads=self._threads)
            yield self._warning(
                f"timed again, another way of computing is faster now (threads: {threads})"
            )

    @property
    def _threads(self) -> int:
        """Of all processes that train together."""
        return self._machine.threads * self._leader.processes

    def _guessed_pause(self) -> float:
        """Returns the pause before the first validation, by the speed of now: steps get faster."""
        held_out, speed = len(self._run.split.held_out), self._speed.recent
        limit = self._scored or affordable(self._trainer, self._run.training, speed)
        cost = guessed_cost(self._trainer, held_out, speed, limit)
        return next_pause(self._watch.seconds, cost)

    def _pause(self) -> Iterator[Event]:
        """Waits, saving meanwhile if asked; pauses do not count as training time."""
        self._watch.pause()
        yield self._state("paused")
        while self._controls.paused:
            self._controls.wait_while_paused()
            if self._controls.take_save():
                yield from self._save()
        self._watch.go_on()
        if not self._controls.stopping:
            yield self._state("training")

    def _step(self) -> Iterator[Event]:
        trainer = self._trainer
        began = self._clock()
        seconds = self._watch.seconds
        self._leader.say(Instruction.STEP, seconds)
        result = trainer.step(seconds)
        self._began = True
        self._speed.add(result.characters, self._clock() - began)
        if result.step == self._reported_step:
            return  # a device with a queue: nothing is known of this step yet
        self._reported_step = result.step
        if result.verdict is Verdict.APPLY:
            yield StepFinished(
                time=self._watch.seconds,
                step=result.step,
                epoch=result.epoch,
                loss=result.loss,
                learning_rate=result.learning_rate,
                gradient_norm=result.gradient_norm,
                characters_per_second=self._speed.recent,
            )
        elif result.verdict is Verdict.ROLL_BACK:
            yield self._warning(
                f"step {result.step}: {trainer.reason}; went back to the last good "
                "weights and halved the learning rate"
            )
        else:
            yield self._warning(f"step {result.step}: {trainer.reason}; the step was skipped")

    def _wind_up(self) -> Iterator[Event]:
        """Validates and saves where the last steps have not been."""
        trainer = self._trainer
        validated_step = self._best.last[0] if self._best.last else -1
        if trainer.step_count > validated_step and not self._controls.hurried:
            yield from self._validate()
        if trainer.step_count > self._saver.saved_step or self.last_save_failed:
            yield from self._save()

    def _plan_is_done(self) -> bool:
        trainer = self._trainer
        return trainer.schedule.progress(trainer.step_count, self._watch.seconds) >= 1

    # --- validation, samples, checkpoints ---------------------------------------------------------

    def _validate(self) -> Generator[Event, None, bool]:
        """Scores the held-out part; returns whether it is the best yet (no held-out part: no)."""
        run, trainer = self._run, self._trainer
        if len(run.split.held_out) < 2:
            trainer.save_rollback_point()
            return False
        yield self._state("validating")
        if self._scored is None:
            self._scored = affordable(trainer, run.training, self._speed.recent)
        found = validate(
            trainer, run.split.held_out, run.training, self._leader.is_hurried, self._scored
        )
        if found is None:
            return False
        nats = found.nats
        if self._best.stays_lost(found):
            yield self._warning(found.lost_sentence)
        if not math.isfinite(nats):
            yield self._warning("the validation loss is not finite; it was left out")
            yield self._state("training")
            return False
        best = self._best.record(trainer, nats)
        yield Validated(
            time=self._watch.seconds,
            step=trainer.step_count,
            epoch=trainer.epoch,
            nats_per_character=nats,
            bits_per_character=nats / math.log(2),
            best=best,
        )
        yield self._state("training")
        return best

    def _sample(self) -> Iterator[Event]:
        """Lets the model write at each temperature."""
        run, trainer = self._run, self._trainer
        vocabulary, training = run.corpus.vocabulary, run.training
        prompt = seed_text(run.split.train, vocabulary, training, trainer.epoch)
        samples = write_samples(
            trainer.snapshot(),
            vocabulary,
            training,
            prompt,
            cancelled=lambda: self._controls.stopping,
            make_stepper=stepper_beside_training(self._machine.device),
        )
        for temperature, text in samples:
            if self._controls.stopping:
                return
            yield SampleRecorded(
                time=self._watch.seconds,
                step=trainer.step_count,
                epoch=trainer.epoch,
                temperature=temperature,
                seed=training.seed,
                prompt=prompt,
                text=text,
            )

    def _save(self, *, carried: bool = True) -> Iterator[Event]:
        """Saves a checkpoint; a file system that refuses is reported, and training goes on."""
        if self._controls.abandoned:
            return
        if carried:
            self._leader.say(Instruction.GATHER)
        run, trainer = self._run, self._trainer
        step = trainer.step_count
        checkpoint = checkpoint_of(
            run,
            trainer,
            nats=self._best.nats_at(step),
            best_nats=self._best.nats,
            seconds=self._watch.seconds,
            scored=self._scored,
            carried=carried,
        )
        path = self._saver.save(checkpoint)
        self._began = self._began or path is not None
        self.last_save_failed = path is None
        yield from self._missing_guarantees()
        if path is None:
            trouble = self._saver.failure or ""
            yield self._warning(trouble)
            yield SaveFailed(sentence=trouble, retry_seconds=self._saver.seconds_to_next_try)
            return
        yield CheckpointSaved(
            time=self._watch.seconds, step=step, path=str(path), best=checkpoint.metadata.best
        )

    def _hand_over(self, snapshot: WeightSnapshot, *, best: bool = False) -> None:
        """Hands weights to the sampler."""
        self._publish(
            PublishedWeights(
                snapshot=snapshot,
                vocabulary=self._run.corpus.vocabulary,
                window=self._run.training.window,
                best=best,
            )
        )

    def _hand_over_best(self) -> None:
        """Hands the best weights to the sampler: from memory, else from the run's folder."""
        if self._best.snapshot is not None:
            self._hand_over(self._best.snapshot, best=True)
        elif self._best.nats is not None:
            with contextlib.suppress(CheckpointError):  # its file is gone: the last ones stay
                best = self._run.folder.checkpoints.load_best(lambda _: None)
                self._hand_over(best.snapshot(), best=True)

    # --- events -----------------------------------------------------------------------------------

    def _recorded(self, event: Event) -> Iterator[Event]:
        """Yields the event after it went into the run's files."""
        yield event
        if isinstance(event, RecordedEvent):
            problem = self._log.append(event)
            if problem is not None:
                yield self._warning(problem)
            if self._board is not None and (trouble := self._board.take_trouble()):
                yield self._warning(f"{self._run.folder.path}: TensorBoard's file: {trouble}")

    def _record(self, event: RecordedEvent) -> None:
        self._on_record(event)
        if self._board is not None:
            self._board.write(event)

    def _run_started(self) -> RunStarted:
        run = self._run
        return RunStarted(
            time=self._watch.seconds,
            run=run.folder.name,
            corpus=run.corpus.name,
            characters=len(run.corpus),
            vocabulary=len(run.corpus.vocabulary),
            parameters=self._trainer.network.parameter_count(),
            preset=run.preset,
            device=str(self._machine.device),
            precision=self._machine.precision,
            threads=self._threads,
            seed=run.training.seed,
            new_text=not run.keeps_its_best,
        )

    def _finished(self, reason: FinishReason) -> Finished:
        best = self._best.nats
        return Finished(
            time=self._watch.seconds,
            reason=reason,
            step=self._trainer.step_count,
            best_nats_per_character=best,
            best_bits_per_character=None if best is None else best / math.log(2),
            seconds=self._watch.seconds,
            characters_per_second=self._speed.mean,
        )

    def _missing_guarantees(self) -> Iterator[Event]:
        """Says what the file system turned out not to guarantee."""
        for sentence in take_missing():
            yield self._warning(sentence)

    def _warning(self, text: str) -> WarningRaised:
        return WarningRaised(time=self._watch.seconds, text=text)

    @staticmethod
    def _state(state: TrainingState) -> TrainingStateChanged:
        return TrainingStateChanged(state=state)
