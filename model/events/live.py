"""Events of one open session: what the training is doing, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.events.analysis import AnalysisEvent
from model.events.recorded import FinishReason, TrainingState

# --- recorded events: one JSON object a line ----------------------------------------------------


# --- live events --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """Work before the first step: importing torch, reading the corpus, building the network."""

    stage: str
    fraction: float | None = None
    """Done part from 0 to 1, where it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """How long the training will be; the screen's progress bars follow from it."""

    steps_per_epoch: int
    planned_steps: int | None
    """Total steps where the plan counts epochs, else None."""
    planned_seconds: float | None
    """Total training time where the plan is a time budget, else None."""
    first_step: int
    """Steps made before this session (0 for a new run)."""
    layers: int
    hidden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputingChanged:
    """The trainer computes in another way from the next step on."""

    threads: int
    """As in ``RunStarted``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStateChanged:
    """The trainer went from one state to another."""

    state: TrainingState


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveFailed:
    """A checkpoint could not be saved; this stays true until the next ``CheckpointSaved``."""

    sentence: str
    """The run's folder and the cause."""
    retry_seconds: float
    """Until the trainer tries again by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRefused:
    """The outside world ended the session: no such text, a damaged checkpoint."""

    error: Exception
    """A ``corpus.errors.UserError``; the program ends with its sentence and exit status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCrashed:
    """A defect of ours ended a worker; the other one goes on."""

    worker: Literal["trainer", "sampler"]
    sentence: str
    traceback: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorMeasured:
    """What the training takes of a GPU; said once a second where there is one."""

    device: str
    """As its maker calls it."""
    bytes: int
    """Memory that this process holds there."""
    bytes_total: int
    """Memory that it has; 0 where that is not told."""
    busy: float | None
    """Part of the recent time in which it computed, whoever for; None where that is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsOpened:
    """A saved checkpoint was opened to write from, not to train on."""

    step: int
    nats_per_character: float | None
    """Validation loss of these weights; None where they were not validated."""
    best: bool
    """Whether that was the lowest of the run when they were saved."""
    last_step: int
    """Of the run, as far as its file tells."""
    run_ended: FinishReason | None
    """How the run's training ended; None where it did not, or where nothing tells."""


LiveEvent = (
    Preparing
    | Planned
    | ComputingChanged
    | TrainingStateChanged
    | SaveFailed
    | SessionRefused
    | WorkerCrashed
    | AcceleratorMeasured
    | WeightsOpened
    | AnalysisEvent
)
