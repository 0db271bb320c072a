"""One row: progress of the epoch and of the training, and the time left."""

from __future__ import annotations

from typing import Final

from model.events import WeightsOpened
from tui.view.format import bar, clock, fixed, grouped, percent, short, span
from tui.view.state import Progress, ViewState
from tui.widgets.painted import Painted, Part, Row, row_width, spread

WARM_UP_SECONDS: Final = 3.0
"""Minimum training time before an estimate is shown."""


class ProgressRow(Painted):
    """Bars for the epoch and for the training."""

    def show(self, state: ViewState, now: float, *, ascii_only: bool) -> None:
        """Shows the state at a time."""
        self.present([progress_row(state, now, self.size.width, ascii_only=ascii_only)])


def pace(progress: Progress) -> float | None:
    """Returns the recent steps per second; None during the warm-up."""
    if len(progress.marks) < 2:
        return None
    (first_time, first_step), (last_time, last_step) = progress.marks[0], progress.marks[-1]
    seconds = last_time - first_time
    if seconds < WARM_UP_SECONDS or last_step <= first_step:
        return None
    return (last_step - first_step) / seconds


def epoch_fraction(progress: Progress) -> float | None:
    """Returns the completed fraction of the epoch, 0 to 1."""
    if not progress.steps_per_epoch or progress.epoch < 1:
        return None
    made = progress.step - (progress.epoch - 1) * progress.steps_per_epoch
    return min(1.0, max(0.0, made / progress.steps_per_epoch))


def epoch_seconds_left(progress: Progress) -> float | None:
    """Returns the seconds until the epoch ends."""
    speed, done = pace(progress), epoch_fraction(progress)
    if speed is None or done is None or progress.steps_per_epoch is None:
        return None
    return (1 - done) * progress.steps_per_epoch / speed


def total_fraction(progress: Progress, seconds: float) -> float | None:
    """Returns the completed fraction of the training, by the plan that is nearer to its end."""
    fractions = []
    if progress.planned_steps:
        fractions.append(progress.step / progress.planned_steps)
    if progress.planned_seconds:
        fractions.append(seconds / progress.planned_seconds)
    return min(1.0, max(0.0, *fractions, 0.0)) if fractions else None


def total_seconds_left(progress: Progress, seconds: float) -> float | None:
    """Returns the seconds until the training ends, by the plan that ends first."""
    estimates = []
    speed = pace(progress)
    if progress.planned_steps and speed is not None:
        estimates.append(max(0, progress.planned_steps - progress.step) / speed)
    if progress.planned_seconds and (speed is not None or seconds >= WARM_UP_SECONDS):
        estimates.append(max(0.0, progress.planned_seconds - seconds))
    return min(estimates, default=None)


def progress_row(state: ViewState, now: float, width: int, *, ascii_only: bool) -> Row:
    """Returns the row; a narrow row leaves out the least important parts."""
    if state.finished is not None:
        return _finished_row(state, width, ascii_only=ascii_only)
    if state.opened is not None:
        return _opened_row(state.opened, width, ascii_only=ascii_only)
    progress, seconds = state.progress, state.elapsed(now)
    epoch, total = epoch_fraction(progress), total_fraction(progress, seconds)
    right: Row = ()
    if total is not None:
        left_over = span(total_seconds_left(progress, seconds))
        right = (("total ", "label"), (f"{percent(total):>4}", "value"))
        if width >= 60:
            right = (*right, ("  ETA ", "label"), (f"{left_over:>5}", "value"))
        if width >= 110:
            done, rest = bar(total, width // 6, ascii_only=ascii_only)
            right = (right[0], (done, "accent"), (rest, "faint"), (" ", "label"), *right[1:])
    right = (*right, (" ", "label"))
    name = f" Epoch {progress.epoch} " if progress.epoch else " Epoch "
    tail: Row = ((f" {percent(epoch):>4}", "value"),)
    if width >= 60:
        tail = (*tail, ("  ETA ", "label"), (f"{span(epoch_seconds_left(progress)):<5}", "value"))
    room = width - len(name) - row_width(tail) - row_width(right) - 3
    done, rest = bar(epoch, min(room, 60), ascii_only=ascii_only)
    return spread(((name, "label"), (done, "accent"), (rest, "faint"), *tail), right, width)


def _finished_row(state: ViewState, width: int, *, ascii_only: bool) -> Row:
    """Returns the row after the training ended."""
    assert state.finished is not None
    finished = state.finished
    words = {"completed": "Training completed", "stopped": "Training stopped"}
    name = words.get(finished.reason, "Training diverged")
    figures = f"  {grouped(finished.step)} steps in {clock(finished.seconds)}"
    made = finished.characters_per_second > 0  # a finished run that is resumed makes no step
    speed = f"{short(finished.characters_per_second)} char/s " if made else ""
    done, _ = bar(1.0, 4, ascii_only=ascii_only)
    paint = "bad" if finished.reason == "diverged" else "good"
    left: Row = ((" ", "label"), (f"{done} {name}", paint), (figures, "value"))
    return spread(left, ((speed, "label"),) if width >= 60 else (), width)


def _opened_row(opened: WeightsOpened, width: int, *, ascii_only: bool) -> Row:
    """Returns the row for saved weights: their step, and how their run ended."""
    done, _ = bar(1.0, 4, ascii_only=ascii_only)
    parts: list[Part] = [
        (" ", "label"),
        (f"{done} ", "good"),
        ("Weights of step " if width >= 60 else "Step ", "label"),
        (grouped(opened.step), "strong"),
    ]
    if opened.nats_per_character is not None:
        parts += [(", val ", "label"), (fixed(opened.nats_per_character), "value")]
    if opened.best:
        parts.append((" best", "good"))
    run = f"run {opened.run_ended or 'is'} at step {grouped(opened.last_step)} "
    if opened.run_ended is None and opened.last_step == opened.step:
        run = ""  # nothing is known of the run but these weights
    room = width - sum(len(text) for text, _ in parts) - 2
    right: Row = ((run, "label"),) if len(run) <= room else ()
    return spread(tuple(parts), right, width)
