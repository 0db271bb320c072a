"""The real session: a trainer thread and a sampler thread behind the seam.

Importing this module imports no torch. The trainer's thread does that, after it has handed the
sampler the run's weights, saved or fresh, so that they write while torch is still on its way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus import LoadCancelled, UserError
from model.commands import (
    Command,
    ContinueTraining,
    PauseTraining,
    SaveCheckpoint,
    StopTraining,
)
from model.config import SamplingConfig
from model.errors import CheckpointError, TrainingDiverged
from model.events import (
    Event,
    Finished,
    Planned,
    Preparing,
    RunStarted,
    SessionRefused,
    StepFinished,
    TrainingStateChanged,
    WarningRaised,
    WeightsOpened,
    event_from_record,
    of_the_last_text,
    recorded_event,
)
from model.network.published import PublishedWeights
from model.runs.checkpoint import CheckpointMetadata
from model.runs.checkpoint_file import read_checkpoint
from model.runs.file_names import METRICS_NAME
from model.runs.folder import RunFolder
from model.runs.open import open_run
from model.runs.request import RunRequest
from model.session.analysis_thread import Analysis
from model.session.event_queue import EventQueue
from model.session.sampler_thread import SamplerThread
from model.system.refusal import crash_of, refusal_of
from model.training.controls import TrainingControls


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedWeights:
    """Weights to write with, without training them further."""

    path: Path
    """A checkpoint file."""


class LiveSession:
    """Trains what is asked for, or opens saved weights, and writes from the start."""

    def __init__(
        self,
        work: RunRequest | SavedWeights,
        *,
        sampling: SamplingConfig,
        rate: float,
        prompt: str = "",
        seed: int | None = None,
    ) -> None:
        """Does not start yet.

        Args:
            work: what to train, or which saved weights to write with.
            sampling: how characters are drawn at first.
            rate: characters per second at first.
            prompt: what the text goes on from.
            seed: of the first text; None draws one.
        """
        self._work = work
        self._events = EventQueue()
        self._controls = TrainingControls()
        self._sampler = SamplerThread(sampling=sampling, rate=rate, prompt=prompt, seed=seed)
        self._trainer = threading.Thread(target=self._run_trainer, name="trainer", daemon=True)
        self._analysis = Analysis(self._events.put)
        self.unsaved = False
        """Whether the last attempt to save failed."""
        self.run_path: Path | None = None
        """The run's folder, once there is one."""

    @property
    def is_training(self) -> bool:
        """Whether the trainer's thread is at work on a training."""
        return isinstance(self._work, RunRequest) and self._trainer.is_alive()

    def start(self) -> None:
        """Starts both threads and returns at once."""
        self._sampler.start()
        self._trainer.start()

    def post(self, command: Command) -> None:
        """Hands a command to the worker that it concerns; never waits."""
        match command:
            case PauseTraining():
                self._controls.pause()
            case ContinueTraining():
                self._controls.go_on()
            case StopTraining():
                self._controls.stop()
            case SaveCheckpoint():
                self._controls.save()
            case _:
                self._sampler.post(command)

    def poll(self) -> Sequence[Event]:
        """Takes what happened since the last call: first the trainer's events, then the text."""
        return [*self._events.take_all(), *self._sampler.take()]

    def close(self, *, save: bool = True, timeout: float = 30.0) -> bool:
        """Stops and joins both threads; the trainer saves first if ``save``."""
        deadline = time.monotonic() + timeout
        if save:
            self._controls.stop(hurry=True)
        else:
            self._controls.abandon()
        self._sampler.stop()
        self._analysis.stop()
        if self._trainer.ident is not None:
            self._trainer.join(timeout)
        ended = self._sampler.join(max(0.0, deadline - time.monotonic()))
        return ended and not self._trainer.is_alive()

    # --- inside the trainer's thread --------------------------------------------------------------

    def _run_trainer(self) -> None:
        try:
            if isinstance(self._work, SavedWeights):
                self._open(self._work.path)
            else:
                for event in self._training(self._work):
                    self._events.put(event)
        except (LoadCancelled, TrainingDiverged):
            pass  # the one was wished for, the other is said by a warning and ``Finished``
        except UserError as error:
            self._events.put(SessionRefused(error=error))
        except Exception as error:  # noqa: BLE001 - the top of a worker: a defect becomes an event
            refusal = refusal_of(error)
            if refusal is not None and self.run_path is None:
                self._events.put(SessionRefused(error=refusal))
            else:
                self._events.put(crash_of("trainer", "training", error))

    def _training(self, request: RunRequest) -> Iterator[Event]:
        """Opens the run, lets the sampler begin, and only then imports torch and trains."""
        opened = yield from open_run(request, lambda: self._controls.stopping)
        try:
            self._hand_on(opened.published())
            self._analysis.start(opened.corpus, opened.split.held_out)
            if opened.resumed is not None:
                yield from _curve_so_far(opened.folder, opened.resumed.metadata.step)
            yield Preparing(stage="importing torch")
            from model.training.training_run import TrainingRun  # noqa: PLC0415 - torch takes two seconds
        except Exception:
            opened.give_up()
            raise

        run = TrainingRun(request, self._controls, publish=self._hand_on, opened=opened)
        for event in run.events():
            if isinstance(event, RunStarted):
                self.run_path = opened.folder.path
            yield event
            self.unsaved = run.last_save_failed

    def _hand_on(self, published: PublishedWeights) -> None:
        """Hands new weights to whoever works with them; waits for nobody."""
        self._sampler.publish(published)
        self._analysis.publish(published)

    def _open(self, path: Path) -> None:
        """Writes from one checkpoint; says what can be known of the run that made it."""
        checkpoint = read_checkpoint(path)
        metadata = checkpoint.metadata
        self._hand_on(checkpoint.published())
        self._events.put(
            RunStarted(
                time=metadata.seconds,
                run=metadata.run,
                corpus=metadata.source.name,
                characters=metadata.source.characters,
                vocabulary=len(metadata.vocabulary),
                parameters=sum(tensor.size for tensor in checkpoint.weights().values()),
                preset=metadata.preset,
                device="cpu",
                precision="fp32",
                threads=1,
                seed=metadata.training.seed,
            )
        )
        folder = RunFolder(path.parent)
        try:
            told = [*_curve_so_far(folder, metadata.step), _opened(folder, metadata)]
        except CheckpointError as error:
            told = [WarningRaised(time=metadata.seconds, text=str(error))]
        *curve, last = told
        for event in curve:
            self._events.put(event)
        # After the curve, whose last step may be before these weights: it tells ten a second.
        self._events.put(
            Planned(
                steps_per_epoch=0,
                planned_steps=None,
                planned_seconds=None,
                first_step=metadata.step,
                layers=metadata.model.layers,
                hidden=metadata.model.hidden,
            )
        )
        self._events.put(last)
        self._events.put(TrainingStateChanged(state="finished"))
        self._analysis.start_again(metadata)


def _opened(folder: RunFolder, metadata: CheckpointMetadata) -> WeightsOpened:
    """Returns what there is to say of weights and of the run around them."""
    events = map(recorded_event, folder.record.lines(METRICS_NAME))
    marks = [event for event in events if isinstance(event, StepFinished | Finished)]
    ended = marks[-1] if marks else None
    return WeightsOpened(
        step=metadata.step,
        nats_per_character=metadata.nats_per_character,
        best=metadata.best,
        last_step=max([metadata.step, *(event.step for event in marks)]),
        run_ended=ended.reason if isinstance(ended, Finished) else None,
    )


def _curve_so_far(folder: RunFolder, last_step: int) -> Iterator[Event]:
    """Yields the steps, validations and samples that a run's file holds up to ``last_step``."""
    for record in of_the_last_text(folder.record.read_lines(METRICS_NAME)):
        event = event_from_record(record, last_step=last_step)
        if event is not None:
            yield event
