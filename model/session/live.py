"""The session that runs a trainer thread and a sampler thread.

Importing this module does not import torch; the trainer's thread does. It first passes the run's
saved or new weights to the sampler, which can write while torch is imported.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from corpus import LoadCancelled, UserError, Vocabulary
from model.commands import (
    Command,
    ContinueTraining,
    JudgeLetter,
    PauseTraining,
    SaveCheckpoint,
    StartDuel,
    StopTraining,
)
from model.config import NetworkKind, SamplingConfig, TrainingConfig
from model.constraint_config import Constraints
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
from model.network import parameters
from model.network.published import PublishedWeights
from model.plan.machine_speed import MachineSpeed
from model.presets import AUTO, find_preset
from model.runs.checkpoint import CheckpointMetadata
from model.runs.checkpoint_file import read_checkpoint
from model.runs.file_names import METRICS_NAME, is_file_of_a_run
from model.runs.folder import RunFolder
from model.runs.open import open_run
from model.runs.request import RunRequest
from model.session.analysis_thread import Analysis
from model.session.authors import authors_opened
from model.session.duel_scores import DuelScores
from model.session.event_queue import EventQueue
from model.session.kept_weights import kept_weights
from model.session.race_runner import LaneSource
from model.session.rivals import rivals
from model.session.sampler_thread import SamplerThread
from model.steppers.mixture import mixture
from model.system.refusal import crash_of, refusal_of
from model.system.torch_import import require_torch
from model.training.controls import TrainingControls

_NO_RUN: Final = "these weights lie in no run's folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedWeights:
    """Saved weights to sample from, without further training."""

    path: Path
    """Path of the checkpoint file."""
    second: Path | None = None
    """Checkpoint file of a second model, which writes the same text."""
    mix: float = 0.5
    """Weight of the second model's probabilities at first, 0 to 1."""


class LiveSession:
    """Trains a model or opens saved weights, and samples text from the start."""

    def __init__(
        self,
        work: RunRequest | SavedWeights,
        *,
        sampling: SamplingConfig,
        rate: float,
        prompt: str = "",
        seed: int | None = None,
        constraints: Constraints | None = None,
    ) -> None:
        """Creates the session without starting its threads.

        Args:
            work: run to train, or saved weights to sample from.
            sampling: initial settings that characters are sampled with.
            rate: initial characters per second.
            prompt: text that the model continues.
            seed: seed of the first text; None draws a random one.
            constraints: what the text obeys at first; None for nothing.
        """
        self._work = work
        self._events = EventQueue()
        self._controls = TrainingControls()
        self._sampler = SamplerThread(
            sampling=sampling, rate=rate, prompt=prompt, seed=seed, constraints=constraints
        )
        self._trainer = threading.Thread(target=self._run_trainer, name="trainer", daemon=True)
        self._analysis = Analysis(self._events.put, self._sampler.offer)
        self.unsaved = False
        """Whether the last attempt to save failed."""
        self.run_path: Path | None = None
        """Folder of the run; None before the run starts, and for saved weights."""

    @property
    def is_training(self) -> bool:
        """Whether the session was asked to train and its trainer thread is alive."""
        return isinstance(self._work, RunRequest) and self._trainer.is_alive()

    def start(self) -> None:
        """Starts both threads and returns immediately."""
        self._sampler.start()
        self._trainer.start()

    def post(self, command: Command) -> None:
        """Passes a command to the trainer or the sampler; never blocks."""
        match command:
            case PauseTraining():
                self._controls.pause()
            case ContinueTraining():
                self._controls.go_on()
            case StopTraining():
                self._controls.stop()
            case SaveCheckpoint():
                self._controls.save()
            case StartDuel() | JudgeLetter():
                self._analysis.duel.post(command)
            case _:
                self._analysis.post(command)
                self._sampler.post(command)

    def poll(self) -> Sequence[Event]:
        """Returns the events since the last call: first the trainer's, then the sampler's."""
        return [*self._events.take_all(), *self._sampler.take()]

    def close(self, *, save: bool = True, timeout: float = 30.0) -> bool:
        """Stops and joins both threads; the trainer first saves a checkpoint if ``save`` is true.

        Args:
            save: whether the trainer saves before it ends.
            timeout: maximum seconds to wait.

        Returns:
            Whether both threads ended within ``timeout`` seconds.
        """
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
                self._open(self._work)
            else:
                for event in self._training(self._work):
                    self._events.put(event)
        except (LoadCancelled, TrainingDiverged):
            pass  # the user cancelled, or a warning and ``Finished`` report the divergence
        except UserError as error:
            self._events.put(SessionRefused(error=error))
        except Exception as error:  # noqa: BLE001 - the top of a worker: a defect becomes an event
            refusal = refusal_of(error)
            if refusal is not None and self.run_path is None:
                self._events.put(SessionRefused(error=refusal))
            else:
                self._events.put(crash_of("trainer", "training", error))

    def _training(self, request: RunRequest) -> Iterator[Event]:
        """Opens the run and starts the sampler, then imports torch and trains."""
        opened = yield from open_run(request, lambda: self._controls.stopping, self._measure)
        try:
            self._hand_on(opened.published())
            others = partial(rivals, opened.folder.path.parent, opened.model.network)
            scores = DuelScores(opened.folder)
            self._analysis.start(opened.corpus, opened.split, scores, others)
            if opened.resumed is not None:
                for kept in kept_weights(opened.folder.checkpoints):
                    self._hand_on(kept)
                yield from _curve_so_far(opened.folder, opened.resumed.metadata.step)
            yield Preparing(stage="importing torch")
            require_torch()
            from model.training.training_run import TrainingRun  # noqa: PLC0415 - torch takes two seconds
        except Exception:
            opened.give_up()
            raise

        run = TrainingRun(request, self._controls, publish=self._hand_on, opened=opened)
        for event in run.events():
            if isinstance(event, RunStarted):
                self.run_path = opened.folder.path
            yield event
            self.unsaved = run.save_failure is not None

    def _measure(
        self, training: TrainingConfig, vocabulary: Vocabulary, *, network: NetworkKind | None
    ) -> MachineSpeed:
        """Measures this machine while an untrained network writes, of a size that need not last."""
        model = find_preset(AUTO).of_network(network or "rms-lstm").model
        weights = parameters.initial_parameters(model, len(vocabulary), training.seed)
        self._sampler.publish(
            PublishedWeights(
                snapshot=parameters.weight_snapshot(model, weights, step=0),
                vocabulary=vocabulary,
                window=training.window,
            )
        )
        require_torch()
        from model.training.autotune import measure_speed  # noqa: PLC0415 - torch takes two seconds

        return measure_speed(training, vocabulary, network=network)

    def _hand_on(self, published: PublishedWeights) -> None:
        """Passes new weights to the sampler and the analyses; never blocks."""
        if published.kept_as is not None:
            self._sampler.offer(LaneSource.of_weights(published))
            return
        self._sampler.publish(published)
        self._analysis.publish(published)

    def _open(self, work: SavedWeights) -> None:
        """Samples from a checkpoint and reports what is known of the run that saved it.

        Of two models, the analyses and all figures concern the first.
        """
        checkpoint = read_checkpoint(work.path)
        metadata = checkpoint.metadata
        published = checkpoint.published()
        self._analysis.publish(published)
        second = None if work.second is None else read_checkpoint(work.second)
        if second is not None:
            published = mixture(published, second.published(), work.mix)
        self._sampler.publish(published)
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
                network=metadata.model.title,
            )
        )
        folder = RunFolder(work.path.parent)
        try:
            events = [*_curve_so_far(folder, metadata.step), _opened(folder, metadata)]
        except CheckpointError as error:
            events = [WarningRaised(time=metadata.seconds, text=str(error))]
        *curve, last = events
        for event in curve:
            self._events.put(event)
        # ``Planned`` follows the curve because the last recorded step may precede these weights:
        # only ten steps a second are recorded.
        self._events.put(
            Planned(
                steps_per_epoch=0,
                planned_steps=None,
                planned_seconds=None,
                first_step=metadata.step,
                network=metadata.model.network,
                layers=metadata.model.layers,
                hidden=metadata.model.hidden,
            )
        )
        self._events.put(last)
        if second is not None:
            self._events.put(authors_opened(checkpoint, second))
        self._events.put(TrainingStateChanged(state="finished"))
        for kept in kept_weights(folder.checkpoints):
            self._hand_on(kept)
        others = partial(rivals, work.path.parent.parent, metadata.model.network)
        is_of_a_run = is_file_of_a_run(work.path)
        scores = DuelScores(folder if is_of_a_run else None, "" if is_of_a_run else _NO_RUN)
        self._analysis.start_again(metadata, scores, others)


def _opened(folder: RunFolder, metadata: CheckpointMetadata) -> WeightsOpened:
    """Returns the event that describes saved weights and their run."""
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
