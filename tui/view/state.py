"""What the screen knows: a frozen state and the pure function that folds events into it.

Nothing here draws, waits or reads a clock: ``fold`` is given the time. Numbers that are not finite
never enter a curve or a figure; the screen therefore never has to ask.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from corpus import Vocabulary
from model.events import (
    AcceleratorMeasured,
    CharacterWritten,
    CheckpointSaved,
    ComputingChanged,
    Event,
    Finished,
    LanesWritten,
    LaneTemperatureApplied,
    NextCharacterWeighed,
    NoveltyIndexed,
    Planned,
    Preparing,
    RaceStarted,
    RaceStopped,
    RankedUnit,
    RateSet,
    ReferencesMeasured,
    RunStarted,
    SampleRecorded,
    SamplingApplied,
    SaveFailed,
    SessionRefused,
    StepFinished,
    TextMissing,
    TrainingState,
    TrainingStateChanged,
    UnitsRanked,
    Validated,
    VocabularyKnown,
    WarningRaised,
    WeightsOpened,
    WeightsSwapped,
    WorkerCrashed,
    WritingHeld,
    WritingRestarted,
    WritingRewound,
)
from tui.view.curve import NO_POINTS, Curve
from tui.view.log import LogLine, log_line
from tui.view.sample_history import with_sample

SMOOTHING: Final = 0.97
"""Weight of the past in the smoothed loss, per step."""
LEAST_SMOOTHING: Final = 0.85
"""Weight of the past at least, however many steps the newest one stands for."""
TREND_WEIGHT: Final = 0.999
"""Weight of the past in the slow mean that a trend is told from."""
TREND_BAND: Final = 0.002
"""Relative change under which a figure counts as level."""
SPEEDS: Final = 60
PACE_SECONDS: Final = 30.0
"""The estimate of the time left looks back this far."""
WARM_UP_SECONDS: Final = 3.0
"""No estimate before this much training."""
WARNINGS: Final = 50
LOG_LINES: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the training is."""

    step: int = 0
    epoch: int = 0
    seconds: float = 0.0
    """Training time of the run at the last event, pauses left out."""
    seen_at: float | None = None
    """When that event was folded."""
    steps_per_epoch: int | None = None
    planned_steps: int | None = None
    planned_seconds: float | None = None
    first_step: int = 0
    marks: tuple[tuple[float, int], ...] = ()
    """(seconds, step) of the recent past, at least half a second apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Figures of the training, nats per character where nothing else is said."""

    loss: float | None = None
    smoothed: float | None = None
    slow: float | None = None
    """A slower mean than ``smoothed``; their difference tells the trend."""
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
    seed: int | None = None
    prompt: str | None = None
    note: str | None = None
    characters: int = 0
    """Characters written since the last restart."""
    surprise: float | None = None
    """Recent mean of -log2 p of what was written, bits per character, at temperature 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewState:
    """Everything that the screen shows, but for the text."""

    training: TrainingState = "preparing"
    stage: str = ""
    fraction: float | None = None
    run: RunStarted | None = None
    layers: int | None = None
    hidden: int | None = None
    progress: Progress = field(default_factory=Progress)
    losses: Losses = field(default_factory=Losses)
    writing: Writing = field(default_factory=Writing)
    vocabulary: Vocabulary | None = None
    """Characters that the model knows; None before it has weights."""
    checkpoint: CheckpointSaved | None = None
    checkpoint_at: float | None = None
    """When that was folded."""
    save_failure: SaveFailed | None = None
    """Why the newest steps are not on the disk; None once a checkpoint is."""
    weighed: NextCharacterWeighed | None = None
    samples: tuple[SampleRecorded, ...] = ()
    references: tuple[tuple[str, float], ...] = ()
    """Names of compressors and the bits per character that they reach on the same text."""
    text_missing: str | None = None
    """Why the run's text cannot be compared with; None where it can, or is being read."""
    opened: WeightsOpened | None = None
    """The weights that were opened; None for a training."""
    units: tuple[RankedUnit, ...] = ()
    accelerator: AcceleratorMeasured | None = None
    """None where the training takes no GPU."""
    log: tuple[LogLine, ...] = ()
    warnings: tuple[str, ...] = ()
    warnings_raised: int = 0
    finished: Finished | None = None
    crashes: tuple[WorkerCrashed, ...] = ()
    refusal: Exception | None = None

    def elapsed(self, now: float) -> float:
        """Returns the training time in seconds, run on from the last event while training."""
        seconds, seen_at = self.progress.seconds, self.progress.seen_at
        running = self.training in {"training", "validating"} and self.finished is None
        trainer_lives = all(crash.worker != "trainer" for crash in self.crashes)
        if running and trainer_lives and seen_at is not None:
            seconds += max(0.0, now - seen_at)
        return seconds


def fold(state: ViewState, events: Iterable[Event], now: float) -> ViewState:
    """Returns the state after the events; ``now`` is a steady clock in seconds."""
    for event in events:
        state = _fold_one(state, event, now)
        line = log_line(
            event,
            seconds=state.progress.seconds,
            sampled_epoch=state.samples[-2].epoch if len(state.samples) > 1 else None,
            opened=bool(state.opened),
        )
        if line is not None:
            state = replace(state, log=(*state.log, line)[-LOG_LINES:])
    return state


def _fold_one(state: ViewState, event: Event, now: float) -> ViewState:  # noqa: C901, PLR0912 - one case per kind of event
    """Returns the state after one event."""
    writing = state.writing
    match event:
        case CharacterWritten():
            return replace(state, writing=_written(writing, event.probability))
        case StepFinished():
            return _stepped(state, event, now)
        case Validated():
            return replace(state, losses=_validated(state.losses, event))
        case CheckpointSaved():
            return replace(state, checkpoint=event, checkpoint_at=now, save_failure=None)
        case SaveFailed():
            return replace(state, save_failure=event)
        case TrainingStateChanged():
            return _changed(state, event.state, now)
        case Preparing():
            return replace(
                state, training="preparing", stage=event.stage, fraction=_finite(event.fraction)
            )
        case Planned():
            return _planned(state, event)
        case RunStarted():
            seconds = _finite(event.time) or 0.0
            if event.new_text:
                state = replace(state, losses=_without_validations(state.losses))
            return replace(state, run=event, progress=replace(state.progress, seconds=seconds))
        case ComputingChanged(threads=threads):
            return replace(state, run=state.run and replace(state.run, threads=threads))
        case WarningRaised():
            warnings = (*state.warnings, event.text)[-WARNINGS:]
            return replace(state, warnings=warnings, warnings_raised=state.warnings_raised + 1)
        case Finished():
            return _finished(state, event)
        case SampleRecorded():
            return replace(state, samples=with_sample(state.samples, event))
        case NextCharacterWeighed():
            return replace(state, weighed=event)
        case ReferencesMeasured(bits_per_character=references):
            return replace(state, references=references)
        case TextMissing(reason=reason):
            return replace(state, text_missing=reason)
        case WeightsOpened():
            return replace(state, opened=event)
        case UnitsRanked(units=units):
            return replace(state, units=units)
        case WritingRewound(back=back, text=text):
            count = max(0, writing.characters - back) + len(text)
            return replace(state, writing=replace(writing, characters=count))
        case RaceStarted() | LanesWritten() | LaneTemperatureApplied() | RaceStopped():
            return state
        case SamplingApplied() | NoveltyIndexed():
            return state
        case AcceleratorMeasured():
            return replace(state, accelerator=event)
        case WritingRestarted():
            restarted = replace(
                writing, seed=event.seed, prompt=event.prompt, note=event.note, characters=0
            )
            return replace(state, writing=restarted)
        case VocabularyKnown(vocabulary=vocabulary):
            return replace(state, vocabulary=vocabulary)
        case WeightsSwapped():
            swapped = replace(writing, weights_step=event.step, weights_best=event.best)
            return replace(state, writing=swapped)
        case WritingHeld():
            return replace(state, writing=replace(writing, held=event.held))
        case RateSet():
            rate = _finite(event.characters_per_second)
            return replace(state, writing=replace(writing, rate=rate))
        case WorkerCrashed():
            return replace(state, crashes=(*state.crashes, event))
        case SessionRefused():
            return replace(state, refusal=event.error)
        case _:
            assert_never(event)


def _finite(value: float | None) -> float | None:
    """Returns the value, or None where it is not a finite number."""
    return value if value is not None and math.isfinite(value) else None


def _mixed(mean: float | None, value: float | None, weight: float) -> float | None:
    """Returns the running mean with one more value; one that is None changes nothing."""
    if value is None or mean is None:
        return mean if value is None else value
    return weight * mean + (1 - weight) * value


def _written(writing: Writing, probability: float) -> Writing:
    """Returns the sampler's figures after one character."""
    bits = -math.log2(probability) if 0 < probability <= 1 else None
    return replace(
        writing,
        characters=writing.characters + 1,
        surprise=_mixed(writing.surprise, bits, 0.99),
    )


def _stepped(state: ViewState, event: StepFinished, now: float) -> ViewState:
    """Returns the state after a step of the optimiser."""
    losses, progress = state.losses, state.progress
    if event.step <= progress.step:  # an interrupted run is gone on with: its lost steps again
        losses, progress = _without_lost_steps(losses, event.step), replace(progress, marks=())
        kept = tuple(sample for sample in state.samples if sample.step < event.step)
        state = replace(state, samples=kept)
    loss = _finite(event.loss)
    # The first losses fall fast: a short memory until there is enough of a past. Steps are left
    # out on the way (a run's file holds ten a second): the one that arrives stands for them.
    steps_seen = max(1, event.step - progress.first_step)
    new_steps = min(steps_seen, max(1, event.step - progress.step))
    smoothed = _mixed(
        losses.smoothed,
        loss,
        max(
            0.0,
            min(max(SMOOTHING**new_steps, LEAST_SMOOTHING), 1 - 4 * new_steps / (steps_seen + 3)),
        ),
    )
    slow = _mixed(losses.slow, loss, min(TREND_WEIGHT**new_steps, 1 - new_steps / steps_seen))
    speed = _finite(event.characters_per_second)
    seconds = _finite(event.time)
    seconds = progress.seconds if seconds is None else seconds
    marks = progress.marks
    if not marks or seconds - marks[-1][0] >= 0.5:
        recent = (*marks, (seconds, event.step))
        marks = tuple(mark for mark in recent if seconds - mark[0] <= PACE_SECONDS)
        if speed is not None:
            losses = replace(losses, speeds=(*losses.speeds, speed)[-SPEEDS:])
    return replace(
        state,
        progress=replace(
            progress,
            step=event.step,
            epoch=event.epoch,
            seconds=seconds,
            seen_at=now,
            marks=marks,
        ),
        losses=replace(
            losses,
            loss=loss,
            smoothed=smoothed,
            slow=slow,
            learning_rate=_finite(event.learning_rate),
            gradient_norm=_finite(event.gradient_norm),
            characters_per_second=speed,
            rate_curve=losses.rate_curve.add(event.step, event.learning_rate),
            gradient_curve=losses.gradient_curve.add(event.step, event.gradient_norm),
            speed_curve=losses.speed_curve.add(event.step, event.characters_per_second),
            raw_curve=losses.raw_curve.add(event.step, math.nan if loss is None else loss),
            smoothed_curve=losses.smoothed_curve.add(
                event.step, math.nan if smoothed is None or loss is None else smoothed
            ),
        ),
    )


def _without_lost_steps(losses: Losses, step: int) -> Losses:
    """Returns the figures without the curves from a step on."""
    return replace(
        losses,
        rate_curve=losses.rate_curve.before(step),
        gradient_curve=losses.gradient_curve.before(step),
        speed_curve=losses.speed_curve.before(step),
        raw_curve=losses.raw_curve.before(step),
        smoothed_curve=losses.smoothed_curve.before(step),
        validation_curve=losses.validation_curve.before(step),
    )


def _without_validations(losses: Losses) -> Losses:
    """Returns the figures without those of a text that the run was in before."""
    return replace(
        losses,
        validation=None,
        validation_before=None,
        best=None,
        best_step=None,
        validation_curve=NO_POINTS,
    )


def _validated(losses: Losses, event: Validated) -> Losses:
    """Returns the figures after the held-out text was scored."""
    nats = _finite(event.nats_per_character)
    if nats is None:
        return losses
    is_best = event.best or losses.best is None
    return replace(
        losses,
        validation=nats,
        validation_before=losses.validation,
        best=nats if is_best else losses.best,
        best_step=event.step if is_best else losses.best_step,
        validation_curve=losses.validation_curve.add(event.step, nats),
    )


def _changed(state: ViewState, training: TrainingState, now: float) -> ViewState:
    """Returns the state after the trainer changed its own; the clock stops where it stops."""
    progress = state.progress
    if training not in {"training", "validating"}:
        progress = replace(progress, seconds=state.elapsed(now), seen_at=None)
    elif state.training not in {"training", "validating"}:
        progress = replace(progress, seen_at=now)
    return replace(state, training=training, progress=progress)


def _planned(state: ViewState, event: Planned) -> ViewState:
    """Returns the state once the length of the training is known."""
    progress = replace(
        state.progress,
        step=max(state.progress.step, event.first_step),
        steps_per_epoch=event.steps_per_epoch if event.steps_per_epoch > 0 else None,
        planned_steps=event.planned_steps,
        planned_seconds=_finite(event.planned_seconds),
        first_step=event.first_step,
    )
    return replace(state, progress=progress, layers=event.layers, hidden=event.hidden)


def _finished(state: ViewState, event: Finished) -> ViewState:
    """Returns the state after training ended."""
    seconds = _finite(event.seconds)
    progress = replace(
        state.progress,
        step=event.step,
        seconds=state.progress.seconds if seconds is None else seconds,
        seen_at=None,
    )
    best = _finite(event.best_nats_per_character)
    losses = state.losses if best is None else replace(state.losses, best=best)
    return replace(state, training="finished", finished=event, progress=progress, losses=losses)
