"""The lines of the log of events. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.events import (
    AuthorsOpened,
    CheckpointSaved,
    Event,
    RecordedEvent,
    ReferencesMeasured,
    RunStarted,
    RunWatched,
    SampleRecorded,
    TextMissing,
    TrainingStateChanged,
    Validated,
    WarningRaised,
    WorkerCrashed,
)
from tui.sanitise import one_line
from tui.view.absent import lacking_words
from tui.view.format import grouped
from tui.view.watched import watching_words


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of the log of events."""

    seconds: float
    """Training time, seconds."""
    text: str
    paint: str = "value"


def log_line(  # noqa: C901, PLR0912 - one case per kind of event
    event: Event, *, seconds: float, sampled_epoch: int | None, trains: bool
) -> LogLine | None:
    """Returns the line for an event, or None; makes foreign text printable.

    Args:
        event: what happened.
        seconds: training time, for events that carry none.
        sampled_epoch: the epoch of the sample before the newest; None without one.
        trains: whether this process trains or has trained; it may watch, or show saved weights.
    """
    if isinstance(event, RecordedEvent) and math.isfinite(event.time):
        seconds = event.time
    match event:
        case Validated(step=step, nats_per_character=nats, best=best) if math.isfinite(nats):
            words = f"step {grouped(step)}: val {nats:.3f}" + (" best" if best else "")
            return LogLine(seconds=seconds, text=words, paint="good" if best else "value")
        case CheckpointSaved(step=step):
            return LogLine(seconds=seconds, text=f"step {grouped(step)}: saved", paint="label")
        case SampleRecorded(epoch=epoch) if epoch != sampled_epoch:
            words = f"epoch {grouped(epoch)}: samples written"
            return LogLine(seconds=seconds, text=words, paint="label")
        case WarningRaised(text=text):
            return LogLine(seconds=seconds, text=one_line(text, 300), paint="warn")
        case WorkerCrashed(sentence=sentence):
            return LogLine(seconds=seconds, text=one_line(sentence, 300), paint="bad")
        case RunStarted(run=run):
            return LogLine(seconds=seconds, text=f"run {one_line(run, 80)}", paint="strong")
        case AuthorsOpened(names=(first, second)):
            words = f"{one_line(first, 80)} and {one_line(second, 80)} write one text"
            words = ". ".join((words, *lacking_words(event)))
            return LogLine(seconds=seconds, text=words, paint="strong")
        case RunWatched():
            return LogLine(seconds=seconds, text=watching_words(event), paint="strong")
        case ReferencesMeasured(note=note) if note:
            return LogLine(seconds=seconds, text=one_line(note, 300), paint="label")
        case TextMissing(reason=reason):
            words = one_line(f"no novelty ink: {reason}", 300)
            return LogLine(seconds=seconds, text=words, paint="label")
        case TrainingStateChanged(state=("paused" | "finished") as training) if trains:
            return LogLine(seconds=seconds, text=f"training {training}", paint="accent")
        case _:
            return None
