"""What the screen knows, as one frozen state. ``tui.view.fold`` computes the next one.

Numbers that are not finite never enter the state, so that no widget has to check.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from corpus import Vocabulary
from model.config import NetworkKind
from model.constraint_config import NO_CONSTRAINTS, Constraints
from model.events import (
    AcceleratorMeasured,
    AuthorsOpened,
    CheckpointSaved,
    Finished,
    LineDrafted,
    NetworkRole,
    NextDistribution,
    RankedUnit,
    RunStarted,
    RunWatched,
    SampleRecorded,
    SaveFailed,
    TrainingState,
    WeightsOpened,
    WorkerCrashed,
)
from tui.view.curve import NO_POINTS, Curve
from tui.view.log import LogLine


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUse:
    """Processor time and memory that the process used at one reading."""

    cores: float | None
    """Processor seconds per second since the last reading; None for the first."""
    bytes: int | None
    """Resident memory, bytes; None if the system does not report it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the training has come."""

    step: int = 0
    epoch: int = 0
    seconds: float = 0.0
    """Training time of the run at the last event, without pauses."""
    seen_at: float | None = None
    """When that event was folded, seconds of a steady clock."""
    steps_per_epoch: int | None = None
    planned_steps: int | None = None
    planned_seconds: float | None = None
    first_step: int = 0
    role: NetworkRole = "only"
    network_since: int = 0
    marks: tuple[tuple[float, int], ...] = ()
    """(seconds, step) of the recent past, at least half a second apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Figures of the training; losses in nats per character."""

    loss: float | None = None
    smoothed: float | None = None
    slow: float | None = None
    """A slower mean than ``smoothed``; their difference shows the trend."""
    learning_rate: float | None = None
    gradient_norm: float | None = None
    characters_per_second: float | None = None
    speeds: tuple[float, ...] = ()
    validation: float | None = None
    validation_before: float | None = None
    best: float | None = None
    best_step: int | None = None
    rate_curve: Curve = NO_POINTS
    """Learning rate."""
    gradient_curve: Curve = NO_POINTS
    speed_curve: Curve = NO_POINTS
    raw_curve: Curve = NO_POINTS
    smoothed_curve: Curve = NO_POINTS
    validation_curve: Curve = NO_POINTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What the sampler is doing."""

    rate: float | None = None
    held: bool = False
    weights_step: int | None = None
    weights_best: bool = False
    mix: float | None = None
    """Weight of the second of two models, 0 to 1; None if one model writes."""
    seed: int | None = None
    prompt: str | None = None
    characters: int = 0
    """Characters written since the last restart."""
    surprise: float | None = None
    """Recent mean of -log2 p of the written characters, bits per character, at temperature 1."""
    constraints: Constraints = NO_CONSTRAINTS
    """What the text obeys."""
    mask_bits: float | None = None
    """Recent mean cost of forbidden letters, bits per character; None if all are allowed."""
    drafted: LineDrafted | None = None
    """What became of the last drafts of a line; None without rules for lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewState:
    """Everything that the screen shows, except the text."""

    training: TrainingState = "preparing"
    stage: str = ""
    fraction: float | None = None
    run: RunStarted | None = None
    network: NetworkKind = "lstm"
    layers: int | None = None
    hidden: int | None = None
    progress: Progress = field(default_factory=Progress)
    losses: Losses = field(default_factory=Losses)
    writing: Writing = field(default_factory=Writing)
    vocabulary: Vocabulary | None = None
    """Characters that the model knows; None before it has weights."""
    checkpoint: CheckpointSaved | None = None
    checkpoint_at: float | None = None
    """When it was folded, seconds of a steady clock."""
    save_failure: SaveFailed | None = None
    """Why the last checkpoint could not be written; None after one was."""
    next_distribution: NextDistribution | None = None
    samples: tuple[SampleRecorded, ...] = ()
    references: tuple[tuple[str, float], ...] = ()
    """Names of compressors and of an n-gram model, and the bits per character that each needs."""
    text_missing: str | None = None
    """Why the run's text is not available; None if it is, or while it is read."""
    watched: RunWatched | None = None
    """The run of another process; None for a run of this session."""
    opened: WeightsOpened | None = None
    """The saved weights that were opened; None for a training."""
    authors: AuthorsOpened | None = None
    """The two saved models that write; None if one model writes."""
    units: tuple[RankedUnit, ...] = ()
    accelerator: AcceleratorMeasured | None = None
    """None if the training uses no GPU."""
    log: tuple[LogLine, ...] = ()
    warnings: tuple[str, ...] = ()
    warnings_raised: int = 0
    finished: Finished | None = None
    crashes: tuple[WorkerCrashed, ...] = ()

    def elapsed(self, now: float) -> float:
        """Returns the training time in seconds; while training, it advances with ``now``."""
        seconds, seen_at = self.progress.seconds, self.progress.seen_at
        running = self.training in {"training", "validating"} and self.finished is None
        trainer_lives = all(crash.worker != "trainer" for crash in self.crashes)
        if running and trainer_lives and seen_at is not None:
            seconds += max(0.0, now - seen_at)
        return seconds
