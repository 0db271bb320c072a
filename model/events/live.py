"""Events of one open session: the state of the training, and its errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.config import NetworkKind
from model.events.analysis import AnalysisEvent
from model.events.duel import DuelEvent
from model.events.recorded import FinishReason, TrainingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """Work before the first step: importing torch, reading the corpus, building the network."""

    stage: str
    fraction: float | None = None
    """Completed part from 0 to 1; None if unknown."""


NetworkRole = Literal["only", "teacher", "student"]
"""What the network that is trained is for, if there are two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The length of the training was planned, or its next network begins; progress bars use it."""

    steps_per_epoch: int
    planned_steps: int | None
    """Total steps if the plan counts epochs; otherwise None."""
    planned_seconds: float | None
    """Total training time in seconds if the plan is a time budget; otherwise None."""
    first_step: int
    """Steps made before this session (0 for a new run), or before the network that begins."""
    network: NetworkKind = "lstm"
    layers: int
    hidden: int
    role: NetworkRole = "only"
    network_since: int = 0
    """Steps before the present network began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputingChanged:
    """The trainer uses another engine from the next step on."""

    threads: int
    """Number of threads that compute a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStateChanged:
    """The state of the training changed."""

    state: TrainingState


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWatched:
    """A run is watched, and another process trains it or has trained it."""

    run: str
    is_trained: bool
    """Whether a process trains the run now."""
    process: int | None
    """Number of the training process; None if it is unknown."""
    host: str | None
    """Name of the machine of that process; None if it is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveFailed:
    """A checkpoint could not be saved; this stays true until the next ``CheckpointSaved``."""

    sentence: str
    """The run's folder and the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRefused:
    """An error of the environment ended the session, such as a damaged checkpoint."""

    error: Exception
    """A ``corpus.errors.UserError``; the program ends with its sentence and exit status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCrashed:
    """A defect of this program ended a worker; the other worker continues."""

    worker: Literal["trainer", "sampler"]
    sentence: str
    traceback: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorMeasured:
    """The load of the GPU was measured; once a second."""

    device: str
    """The manufacturer's name of the GPU."""
    bytes: int
    """GPU memory that this process holds, bytes."""
    bytes_total: int
    """Memory of the GPU, bytes; 0 if unknown."""
    busy: float | None
    """Part of the recent time in which the GPU was busy, for any process; None if unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsOpened:
    """A saved checkpoint was opened for sampling, not for training."""

    step: int
    nats_per_character: float | None
    """Validation loss of these weights; None if they were not validated."""
    best: bool
    """Whether this loss was the lowest of the run when they were saved."""
    last_step: int
    """Last step of the run that its ``metrics.jsonl`` records; at least ``step``."""
    run_ended: FinishReason | None
    """How the run's training ended; None if it did not end, or if that is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorsOpened:
    """Two saved models were opened to write one text; each has symbols that it may lack."""

    names: tuple[str, str]
    """Names of their runs, the first model's first."""
    symbols: int
    """Number of united symbols."""
    lacking: tuple[tuple[str, ...], tuple[str, ...]]
    """The united symbols that each model lacks, in code point order."""


LiveEvent = (
    Preparing
    | Planned
    | ComputingChanged
    | TrainingStateChanged
    | RunWatched
    | SaveFailed
    | SessionRefused
    | WorkerCrashed
    | AcceleratorMeasured
    | WeightsOpened
    | AuthorsOpened
    | AnalysisEvent
    | DuelEvent
)
