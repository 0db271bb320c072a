"""Draws the current curve as a figure: axes, lines, the best validation, a legend. Pure.

The background is white, for paper. People with any kind of colour vision can distinguish the
colours, which are those of Okabe & Ito (2008).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from model.runs.decimate import Point, extremes, means
from tui.export.figure import Anchor, Figure, Place, Shape, Sign, Stroke, Words
from tui.sanitise import one_line
from tui.view.chart_view import ChartView, best_point, curves_of, references_of
from tui.view.format import clock, fixed, grouped, short, small
from tui.view.state import ViewState

WIDTH: Final = 960
HEIGHT: Final = 540
LEFT: Final = 84
RIGHT: Final = 866
TOP: Final = 92
BOTTOM: Final = 470
_BLUE: Final = "#0072b2"
_PALE_BLUE: Final = "#a9cfe6"
_VERMILION: Final = "#d55e00"
_GREEN: Final = "#009e73"
_INK: Final = "#222222"
_GREY: Final = "#5f5f5f"
_GRID: Final = "#e4e4e4"
_WHITE: Final = "#ffffff"
_BITS: Final = 1 / math.log(2)
_LARGEST: Final = 1e100


def curve_figure(state: ViewState, view: ChartView) -> Figure | None:
    """Returns the figure of the curve in the current view; None if there is no curve yet."""
    points_by_name = {name: _sane(points, view) for name, points in curves_of(state, view).items()}
    curves = {
        "raw": extremes(points_by_name.get("raw", ()), RIGHT - LEFT),
        "train": means(points_by_name["train"], RIGHT - LEFT),
        "validation": points_by_name.get("validation", []),
    }
    scale = _Scale.around(curves)
    if scale is None:
        return None
    title, facts = _title(state), _facts(state)
    shapes: list[Shape] = [
        Words(text=title, place=(LEFT, 34), size=20, colour=_INK, bold=True),
        Words(text=facts, place=(LEFT, 57), size=13, colour=_GREY),
        *_grid(scale, state, view),
        *_dashes(scale, state, view),
        *_lines(scale, curves),
        *_names_of_dashes(scale, state, view),
        *_signs(scale, state, view, curves),
        *_legend(view, curves, has_best=best_point(state, view) is not None),
    ]
    return Figure(
        width=WIDTH,
        height=HEIGHT,
        title=f"{title}: {view.metric} over training. {facts}",
        background=_WHITE,
        shapes=tuple(shapes),
    )


def _sane(points: Sequence[Point], view: ChartView) -> list[Point]:
    """Returns the points without those of a diverged training that are too large to draw."""
    largest = math.log10(_LARGEST) if view.logarithmic else _LARGEST
    return [point for point in points if abs(point[1]) < largest]


class _Scale:
    """Maps a point of a curve to a place on the page."""

    def __init__(self, xs: tuple[float, float], ys: tuple[float, float]) -> None:
        self.xs, self.ys = xs, ys

    @classmethod
    def around(cls, curves: Mapping[str, Sequence[Point]]) -> _Scale | None:
        """Returns a scale that shows all points; None if they make no line."""
        points = [point for curve in curves.values() for point in curve]
        if len(points) < 2:
            return None
        xs, ys = [x for x, _ in points], [y for _, y in points]
        room = 0.04 * ((max(ys) - min(ys)) or max(abs(max(ys)), 1.0) * 0.1)
        span = max(xs) - min(xs)
        return cls((min(xs), max(xs) if span else min(xs) + 1), (min(ys) - room, max(ys) + room))

    def place(self, point: Point) -> Place:
        """Returns a point's place on the page, pixels."""
        (x0, x1), (y0, y1) = self.xs, self.ys
        across = (point[0] - x0) / (x1 - x0)
        up = (point[1] - y0) / (y1 - y0)
        return LEFT + across * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP)


def round_numbers(low: float, high: float, most: int) -> list[float]:
    """Returns about `most` multiples of 1, 2 or 5 times a power of ten between two numbers."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    steps = [power * factor for factor in (1, 2, 5, 10)]
    place = next(place for place, step in enumerate(steps) if (high - low) / step <= most)
    # If few are wanted, the step may exceed the range and have no multiple in it.
    return _multiples(steps[place], low, high) or _multiples(steps[place - 1], low, high)


def _multiples(step: float, low: float, high: float) -> list[float]:
    first = math.ceil(low / step - 1e-9)
    return [step * number for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _ticks(scale: _Scale, view: ChartView, most: int, unit: float = 1.0) -> list[Point]:
    """Returns ticks as (height on the scale, number shown), where number = height x ``unit``."""
    low, high = scale.ys
    if not view.logarithmic:
        return [(number / unit, number) for number in round_numbers(low * unit, high * unit, most)]
    low, high = 10**low * unit, 10**high * unit
    if high < 8 * low:
        numbers = [number for number in round_numbers(low, high, most) if number > 0]
    else:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        factors = (1, 2, 5) if last - first <= 3 else (1,)
        powers = range(first, last + 1, max(1, (last - first) // most))
        numbers = [factor * 10.0**power for power in powers for factor in factors]
    return [(math.log10(number / unit), number) for number in numbers if low <= number <= high]


def _grid(scale: _Scale, state: ViewState, view: ChartView) -> list[Shape]:
    shapes: list[Shape] = []
    for height, number in _ticks(scale, view, 7):
        _, y = scale.place((scale.xs[0], height))
        shapes.append(Stroke(points=((LEFT, y), (RIGHT, y)), colour=_GRID))
        shapes.append(_label(_number(number), (LEFT - 10, y + 5), "end"))
    for x_value in round_numbers(*scale.xs, 8):
        x, _ = scale.place((x_value, scale.ys[0]))
        shapes.append(Stroke(points=((x, BOTTOM), (x, BOTTOM + 5)), colour=_GREY))
        shapes.append(_label(_number(x_value), (x, BOTTOM + 22), "middle"))
    if view.metric == "loss":
        # The right axis shows the other unit.
        unit = 1 / _BITS if view.bits else _BITS
        for height, number in _ticks(scale, view, 7, unit):
            _, y = scale.place((scale.xs[1], height))
            shapes.append(Stroke(points=((RIGHT, y), (RIGHT + 5, y)), colour=_GREY))
            shapes.append(_label(_number(number), (RIGHT + 10, y + 5), "start"))
        shapes.append(_axis_name("nats" if view.bits else "bits", RIGHT + 62))
    axes = ((LEFT, TOP), (LEFT, BOTTOM), (RIGHT, BOTTOM))
    shapes.append(Stroke(points=axes, colour=_GREY, width=1.2))
    shapes.append(_axis_name(_unit(view), 24))
    name = "epochs" if state.progress.steps_per_epoch is not None else "steps"
    shapes.append(_label(name, ((LEFT + RIGHT) / 2, BOTTOM + 48), "middle", size=14))
    return shapes


def _unit(view: ChartView) -> str:
    names = {
        "loss": "bits" if view.bits else "nats",
        "speed": "characters per second",
    }
    return names.get(view.metric, view.metric)


def _axis_name(name: str, x: float) -> Words:
    text = f"{name} per character" if name in {"nats", "bits"} else name
    middle = (TOP + BOTTOM) / 2
    return Words(text=text, place=(x, middle), size=14, colour=_INK, anchor="middle", upright=False)


def _heights_of_dashes(scale: _Scale, state: ViewState, view: ChartView) -> list[tuple[str, float]]:
    """Returns the visible compressors with their heights on the page, the lowest first."""
    low, high = scale.ys
    references = sorted(references_of(state, view).items(), key=lambda item: item[1])
    return [(name, scale.place((0, y))[1]) for name, y in references if low <= y <= high]


def _dashes(scale: _Scale, state: ViewState, view: ChartView) -> list[Shape]:
    """Returns a dashed line for each compressor."""
    return [
        Stroke(points=((LEFT, y), (RIGHT, y)), colour=_GREY, width=1.2, dash=6)
        for _, y in _heights_of_dashes(scale, state, view)
    ]


def _names_of_dashes(scale: _Scale, state: ViewState, view: ChartView) -> list[Shape]:
    """Returns the compressors' names; the lowest is below its line, because two may be close."""
    bits = dict(state.references)
    return [
        Words(
            text=f"{name} {fixed(bits[name], 2)} bits",
            place=(RIGHT - 6, y + (-6 if number else 16)),
            size=13,
            colour=_INK,
            anchor="end",
            halo=_WHITE,
        )
        for number, (name, y) in enumerate(_heights_of_dashes(scale, state, view))
    ]


def _lines(scale: _Scale, curves: Mapping[str, Sequence[Point]]) -> list[Shape]:
    looks = (("raw", _PALE_BLUE, 1.0), ("validation", _VERMILION, 1.6), ("train", _BLUE, 2.4))
    return [
        Stroke(points=tuple(map(scale.place, curves[name])), colour=colour, width=width)
        for name, colour, width in looks
        if len(curves[name]) > 1
    ]


def _signs(
    scale: _Scale, state: ViewState, view: ChartView, curves: Mapping[str, Sequence[Point]]
) -> list[Shape]:
    """Returns the dots of the validations, and the best one with its loss."""
    shapes: list[Shape] = [
        Sign(kind="disc", place=scale.place(point), radius=3.2, colour=_VERMILION, rim=_WHITE)
        for point in curves["validation"]
    ]
    best = best_point(state, view)
    if best is not None and _sane((best,), view):
        place = scale.place(best)
        shapes.append(Sign(kind="diamond", place=place, radius=8, colour=_GREEN, rim=_WHITE))
        left = place[0] > (LEFT + RIGHT) / 2
        x = place[0] + (8 if not left else 0)
        y = place[1] + (24 if place[1] < TOP + 30 else -16)
        step = grouped(state.losses.best_step or 0)
        text = f"best {fixed(state.losses.best, 4)} nats, step {step}"
        shapes.append(
            Words(
                text=text,
                place=(x, y),
                size=13,
                colour=_INK,
                anchor="end" if left else "start",
                bold=True,
                halo=_WHITE,
            )
        )
    return shapes


def _legend(
    view: ChartView, curves: Mapping[str, Sequence[Point]], *, has_best: bool
) -> list[Shape]:
    """Returns the legend: a row above the curve."""
    loss = view.metric == "loss"
    entries = [
        ("train, smoothed" if loss else view.metric, "train", _BLUE, 2.4),
        ("train, each batch", "raw", _PALE_BLUE, 1.0),
        ("validation", "validation", _VERMILION, 1.6),
    ]
    shapes: list[Shape] = []
    x, y = float(LEFT), TOP - 14.0
    for name, curve, colour, width in entries:
        if not curves[curve]:
            continue
        shapes.append(Stroke(points=((x, y), (x + 26, y)), colour=colour, width=width))
        if curve == "validation":
            place = (x + 13, y)
            shapes.append(Sign(kind="disc", place=place, radius=3.2, colour=colour, rim=_WHITE))
        shapes.append(_label(name, (x + 34, y + 4.5), "start"))
        x += 34 + 8 * len(name) + 22
    if has_best:
        place = (x + 8, y)
        shapes.append(Sign(kind="diamond", place=place, radius=7, colour=_GREEN, rim=_WHITE))
        shapes.append(_label("lowest validation", (x + 24, y + 4.5), "start"))
    return shapes


def _title(state: ViewState) -> str:
    if state.run is None:
        return "charlm-tui"
    return f"{one_line(state.run.corpus, 50)}: {one_line(state.run.run, 50)}"


def _facts(state: ViewState) -> str:
    parts = []
    if state.layers and state.hidden:
        parts.append(f"LSTM {state.layers}x{state.hidden}")
    if state.run is not None:
        parts.append(f"{short(state.run.parameters)} parameters")
        parts.append(f"seed {state.run.seed}")
    parts.append(f"step {grouped(state.progress.step)} after {clock(state.progress.seconds)}")
    return ", ".join(parts)


def _number(value: float) -> str:
    """Returns the text of a number at an axis."""
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return short(value)
    return small(value) if abs(value) < 0.01 else f"{value:.6g}"


def _label(text: str, place: Place, anchor: Anchor, *, size: float = 13) -> Words:
    return Words(text=text, place=place, size=size, colour=_INK, anchor=anchor)
