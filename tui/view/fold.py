"""Folds events into the state of the screen.

Nothing here draws, waits or reads a clock: ``fold`` is given the time. Numbers that are not finite
are dropped here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, assert_never

from model.events import (
    AcceleratorMeasured,
    AuthorsOpened,
    CharacterWritten,
    CheckpointSaved,
    ComputingChanged,
    ConstraintsApplied,
    DuelLetterJudged,
    DuelRefused,
    DuelStarted,
    Event,
    Finished,
    LanesWritten,
    LaneTemperatureApplied,
    LineDrafted,
    MixApplied,
    NextDistribution,
    NoveltyIndexed,
    Planned,
    Preparing,
    RaceStarted,
    RaceStopped,
    RateSet,
    ReferencesMeasured,
    RunStarted,
    RunWatched,
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
from tui.view.log import log_line
from tui.view.loss_figures import (
    after_step,
    after_validation,
    before_step,
    finite,
    with_speed,
    without_validations,
)
from tui.view.sample_history import with_sample
from tui.view.smoothing import running_mean
from tui.view.state import Progress, ViewState, Writing

PACE_SECONDS: Final = 30.0
"""The estimate of the time left looks back over this many seconds of training."""
MARK_SECONDS: Final = 0.5
"""Minimum distance of two marks of the pace, seconds of training."""
MAX_WARNINGS: Final = 50
MAX_LOG_LINES: Final = 400
SURPRISE_SMOOTHING: Final = 0.99
"""Weight of the past in the mean surprise, per character."""

MASK_SMOOTHING: Final = 0.99
"""Weight of the past in the mean cost of forbidden letters, per character."""

TrainingEvent = (
    StepFinished
    | Validated
    | TrainingStateChanged
    | Preparing
    | Planned
    | RunStarted
    | ComputingChanged
    | Finished
)
WritingEvent = (
    CharacterWritten
    | ConstraintsApplied
    | LineDrafted
    | WritingRewound
    | WritingRestarted
    | WeightsSwapped
    | MixApplied
    | WritingHeld
    | RateSet
)


def fold(state: ViewState, events: Iterable[Event], now: float) -> ViewState:
    """Returns the state after the events.

    Args:
        state: the state before them.
        events: what happened, oldest first.
        now: seconds of a steady clock.
    """
    for event in events:
        state = _fold_one(state, event, now)
        line = log_line(
            event,
            seconds=state.progress.seconds,
            sampled_epoch=state.samples[-2].epoch if len(state.samples) > 1 else None,
            trains=state.opened is None and state.watched is None,
        )
        if line is not None:
            state = replace(state, log=(*state.log, line)[-MAX_LOG_LINES:])
    return state


def _fold_one(state: ViewState, event: Event, now: float) -> ViewState:  # noqa: C901, PLR0912 - one case per kind of event
    """Returns the state after one event."""
    if isinstance(event, TrainingEvent):
        return _trained(state, event, now)
    if isinstance(event, WritingEvent):
        return replace(state, writing=_written(state.writing, event))
    match event:
        case CheckpointSaved():
            return replace(state, checkpoint=event, checkpoint_at=now, save_failure=None)
        case SaveFailed():
            return replace(state, save_failure=event)
        case WarningRaised():
            warnings = (*state.warnings, event.text)[-MAX_WARNINGS:]
            return replace(state, warnings=warnings, warnings_raised=state.warnings_raised + 1)
        case SampleRecorded():
            return replace(state, samples=with_sample(state.samples, event))
        case NextDistribution():
            return replace(state, next_distribution=event)
        case ReferencesMeasured(bits_per_character=references):
            return replace(state, references=references)
        case TextMissing(reason=reason):
            return replace(state, text_missing=reason)
        case RunWatched():
            return replace(state, watched=event)
        case WeightsOpened():
            return _opened(state, event)
        case AuthorsOpened():
            return replace(state, authors=event)
        case UnitsRanked(units=units):
            return replace(state, units=units)
        case AcceleratorMeasured():
            return replace(state, accelerator=event)
        case VocabularyKnown(vocabulary=vocabulary):
            return replace(state, vocabulary=vocabulary)
        case WorkerCrashed():
            return replace(state, crashes=(*state.crashes, event))
        case RaceStarted() | LanesWritten() | LaneTemperatureApplied() | RaceStopped():
            return state
        case SamplingApplied() | NoveltyIndexed() | SessionRefused():
            return state
        case DuelStarted() | DuelRefused() | DuelLetterJudged():
            return state
        case _:
            assert_never(event)


def _trained(state: ViewState, event: TrainingEvent, now: float) -> ViewState:
    """Returns the state after an event of the training."""
    match event:
        case StepFinished():
            return _stepped(state, event, now)
        case Validated():
            return replace(state, losses=after_validation(state.losses, event))
        case TrainingStateChanged():
            return _changed(state, event.state, now)
        case Preparing():
            state = _changed(state, "preparing", now)
            return replace(state, stage=event.stage, fraction=finite(event.fraction))
        case Planned():
            return _planned(state, event)
        case RunStarted():
            progress = replace(state.progress, seconds=finite(event.time) or 0.0)
            losses = without_validations(state.losses) if event.new_text else state.losses
            return replace(state, run=event, progress=progress, losses=losses, finished=None)
        case ComputingChanged(threads=threads):
            return replace(state, run=state.run and replace(state.run, threads=threads))
        case Finished():
            return _finished(state, event)
        case _:
            assert_never(event)


def _written(writing: Writing, event: WritingEvent) -> Writing:
    """Returns the figures of the sampler after an event."""
    match event:
        case CharacterWritten():
            return _with_character(writing, event)
        case ConstraintsApplied(constraints=constraints):
            return replace(writing, constraints=constraints, mask_bits=None, drafted=None)
        case LineDrafted():
            return replace(writing, drafted=event)
        case WritingRewound(back=back, text=text):
            return replace(writing, characters=max(0, writing.characters - back) + len(text))
        case WritingRestarted():
            return replace(writing, seed=event.seed, prompt=event.prompt, characters=0)
        case WeightsSwapped():
            return replace(writing, weights_step=event.step, weights_best=event.best)
        case MixApplied(mix=mix):
            return replace(writing, mix=finite(mix))
        case WritingHeld():
            return replace(writing, held=event.held)
        case RateSet():
            return replace(writing, rate=finite(event.characters_per_second))
        case _:
            assert_never(event)


def _with_character(writing: Writing, event: CharacterWritten) -> Writing:
    """Returns the figures of the sampler after a character."""
    bits = -math.log2(event.probability) if 0 < event.probability <= 1 else None
    cost = finite(event.mask_bits)
    return replace(
        writing,
        characters=writing.characters + 1,
        surprise=running_mean(writing.surprise, bits, SURPRISE_SMOOTHING),
        mask_bits=None if cost is None else running_mean(writing.mask_bits, cost, MASK_SMOOTHING),
    )


def _stepped(state: ViewState, event: StepFinished, now: float) -> ViewState:
    """Returns the state after a step of the optimiser."""
    if event.step <= state.progress.step:
        state = _before_step(state, event.step)
    progress = state.progress
    steps_seen = max(1, event.step - progress.first_step)
    new_steps = min(steps_seen, max(1, event.step - progress.step))
    losses = after_step(state.losses, event, steps_seen, new_steps)
    seconds = finite(event.time)
    seconds = progress.seconds if seconds is None else seconds
    marks = _marked(progress, seconds, event.step)
    if marks is not progress.marks:
        losses = with_speed(losses, losses.characters_per_second)
    progress = replace(
        progress, step=event.step, epoch=event.epoch, seconds=seconds, seen_at=now, marks=marks
    )
    return replace(state, progress=progress, losses=losses)


def _before_step(state: ViewState, step: int) -> ViewState:
    """Returns the state as before a step, because an interrupted run repeats its lost steps."""
    return replace(
        state,
        losses=before_step(state.losses, step),
        progress=replace(state.progress, marks=()),
        samples=tuple(sample for sample in state.samples if sample.step < step),
    )


def _marked(progress: Progress, seconds: float, step: int) -> tuple[tuple[float, int], ...]:
    """Returns the marks of the pace; the same tuple if the last mark is too recent."""
    marks = progress.marks
    if marks and seconds - marks[-1][0] < MARK_SECONDS:
        return marks
    recent = (*marks, (seconds, step))
    return tuple(mark for mark in recent if seconds - mark[0] <= PACE_SECONDS)


def _changed(state: ViewState, training: TrainingState, now: float) -> ViewState:
    """Returns the state after the trainer's state changed; its clock runs only while it trains."""
    progress = state.progress
    if training not in {"training", "validating"}:
        progress = replace(progress, seconds=state.elapsed(now), seen_at=None)
    elif state.training not in {"training", "validating"}:
        progress = replace(progress, seen_at=now)
    return replace(state, training=training, progress=progress)


def _planned(state: ViewState, event: Planned) -> ViewState:
    """Returns the state once the length of the training is known, or another network begins."""
    losses, validated = state.losses, state.losses.validation_curve.points
    if validated and validated[-1][0] <= event.network_since:
        losses = replace(losses, validation=None, validation_before=None)
    progress = replace(
        state.progress,
        step=max(state.progress.step, event.first_step),
        steps_per_epoch=event.steps_per_epoch if event.steps_per_epoch > 0 else None,
        planned_steps=event.planned_steps,
        planned_seconds=finite(event.planned_seconds),
        first_step=event.first_step,
        role=event.role,
        network_since=event.network_since,
    )
    return replace(
        state,
        progress=progress,
        losses=losses,
        network=event.network,
        layers=event.layers,
        hidden=event.hidden,
    )


def _opened(state: ViewState, event: WeightsOpened) -> ViewState:
    """Returns the state with saved weights; they know their loss even without a record."""
    losses, nats = state.losses, finite(event.nats_per_character)
    if losses.validation is None and nats is not None:
        losses = replace(losses, validation=nats)
        if event.best:
            losses = replace(losses, best=nats, best_step=event.step)
    return replace(state, opened=event, losses=losses)


def _finished(state: ViewState, event: Finished) -> ViewState:
    """Returns the state after the training ended."""
    seconds = finite(event.seconds)
    progress = replace(
        state.progress,
        step=event.step,
        seconds=state.progress.seconds if seconds is None else seconds,
        seen_at=None,
    )
    best = finite(event.best_nats_per_character)
    losses = state.losses if best is None else replace(state.losses, best=best)
    return replace(state, training="finished", finished=event, progress=progress, losses=losses)
