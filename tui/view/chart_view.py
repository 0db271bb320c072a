"""Which curve is shown, and how: metric, range, unit, axis. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from model.runs.decimate import Point
from tui.view.curve import within_reason
from tui.view.state import ViewState

METRICS: Final = ("loss", "learning rate", "gradient norm", "speed")
RECENT_PART: Final = 0.2
"""Fraction of the steps that the recent range shows."""
KEPT_PART_OF_FALL: Final = 0.2
"""Fraction of the loss's whole fall that a zoomed range keeps."""
MAX_PART_LEFT_OUT: Final = 0.5
"""A zoomed range shows at least the other part of the steps, or else all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartView:
    """The metric, range, unit and axis that the user chose."""

    metric: str = "loss"
    recent: bool = False
    zoomed: bool = False
    """Whether to leave out the first fall of the loss once it hides what still moves."""
    logarithmic: bool = False
    bits: bool = False

    def stepped(self, direction: int) -> ChartView:
        """Returns the view of the next or previous metric."""
        place = METRICS.index(self.metric) + direction
        return replace(self, metric=METRICS[place % len(METRICS)])

    @property
    def unit(self) -> str:
        """The unit of the vertical axis; the name of a metric without a unit."""
        units = {"loss": "bits per character" if self.bits else "nats per character"}
        units["speed"] = "characters per second"
        return units.get(self.metric, self.metric)

    def words(self, *, epochs: bool, wide: bool, zoomed: bool = False) -> str:
        """Returns the words for the axes; ``zoomed``: the first fall is left out."""
        if not wide:
            return self.unit.replace(" per character", "/char").replace(" per second", "/s")
        tail = ", recent" if self.recent else ", zoomed" if zoomed else ""
        return f"{self.unit} over {'epochs' if epochs else 'steps'}{tail}" + (
            ", log" if self.logarithmic else ""
        )


def with_next_range(state: ViewState, view: ChartView) -> ChartView:
    """Returns the view with the next range: without the first fall, whole, recent."""
    if view.recent:
        return replace(view, recent=False, zoomed=True)
    if fall_of(state, view) is not None:
        return replace(view, zoomed=False)
    return replace(view, recent=True, zoomed=False)


def fall_of(state: ViewState, view: ChartView) -> float | None:
    """Returns the step up to which a zoomed view leaves out the fall of the loss.

    None if it leaves out nothing: during the first epoch, of other metrics, and while the loss
    still falls so fast that its first fall hides nothing.
    """
    points = [point for point in state.losses.smoothed_curve.points if math.isfinite(point[1])]
    if not view.zoomed or view.recent or view.metric != "loss" or len(points) < 2:
        return None
    if state.progress.epoch < 2:
        return None
    (first, highest), (last, _) = points[0], points[-1]
    lowest = min(y for _, y in points)
    level = lowest + KEPT_PART_OF_FALL * (highest - lowest)
    start = next((x for x, y in points if y <= level), last)
    return start if first < start <= first + MAX_PART_LEFT_OUT * (last - first) else None


def curves_of(state: ViewState, view: ChartView) -> dict[str, tuple[Point, ...]]:
    """Returns the points to draw by the name of their paint, in the chosen range and unit."""
    losses = state.losses
    if view.metric == "loss":
        curves: Mapping[str, tuple[Point, ...]] = {
            "raw": losses.raw_curve.points,
            "validation": losses.validation_curve.points,
            "train": losses.smoothed_curve.points,
        }
    else:
        curve = {
            "learning rate": losses.rate_curve,
            "gradient norm": losses.gradient_curve,
            "speed": losses.speed_curve,
        }[view.metric]
        curves = {"train": curve.points}
    start = _first_shown(curves, state, view)
    return {name: _converted(points, state, view, start) for name, points in curves.items()}


def best_point(state: ViewState, view: ChartView) -> Point | None:
    """Returns the point of the lowest validation loss if it is visible."""
    losses = state.losses
    if view.metric != "loss" or losses.best is None or losses.best_step is None:
        return None
    start = _first_shown({"train": losses.smoothed_curve.points}, state, view)
    shown = _converted(((losses.best_step, within_reason(losses.best)),), state, view, start)
    return shown[0] if shown else None


def references_of(state: ViewState, view: ChartView) -> dict[str, float]:
    """Returns the heights of the reference lines: what compressors and n-grams reach."""
    if view.metric != "loss":
        return {}
    return {
        name: _height(bits * math.log(2), view)
        for name, bits in state.references
        if math.isfinite(bits) and bits > 0
    }


def _first_shown(
    curves: Mapping[str, tuple[Point, ...]], state: ViewState, view: ChartView
) -> float:
    """Returns the first step in the range."""
    fall = fall_of(state, view)
    if fall is not None:
        return fall
    steps = [step for points in curves.values() for step, _ in (points[:1] + points[-1:])]
    if not view.recent or not steps:
        return -math.inf
    return max(steps) - RECENT_PART * (max(steps) - min(steps))


def _converted(
    points: tuple[Point, ...], state: ViewState, view: ChartView, start: float
) -> tuple[Point, ...]:
    per_epoch = state.progress.steps_per_epoch or 1
    return tuple(
        (x / per_epoch, _height(y, view))
        for x, y in points
        if x >= start and math.isfinite(y) and (y > 0 or not view.logarithmic)
    )


def _height(y: float, view: ChartView) -> float:
    if view.metric == "loss" and view.bits:
        y /= math.log(2)
    return math.log10(y) if view.logarithmic else y
