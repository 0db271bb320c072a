"""What the file of a curve shows: words, lines, references, the best validation. Pure.

The module knows neither sizes nor colours, which are those of ``curve_drawing``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from model.config import NETWORKS
from model.runs.decimate import Point
from tui.sanitise import one_line
from tui.view.chart_view import ChartView, best_point, curves_of, references_of
from tui.view.format import clock, fixed, grouped, short
from tui.view.state import ViewState

Kind = Literal["raw", "train", "validation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A curve with its words in the legend."""

    kind: Kind
    words: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A horizontal line with the words beside it: what a compressor or an n-gram model reaches."""

    words: str
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveFigure:
    """Everything that the file of a curve shows. All texts are printable."""

    title: str
    facts: str
    """The network, the seed and the length of the training, for the line below the title."""
    across: str
    """What the horizontal axis counts."""
    up: str
    """What the vertical axis measures, with its unit."""
    logarithmic: bool
    """Whether the vertical axis is logarithmic; the heights themselves are not logarithms."""
    lines: tuple[Line, ...]
    """In the order of the legend."""
    levels: tuple[Level, ...]
    best: Point | None
    best_words: str
    """Words of the best validation in the legend."""


def curve_figure(state: ViewState, view: ChartView) -> CurveFigure | None:
    """Returns the figure of the curve in the current view; None if there is no curve yet."""
    plain = replace(view, logarithmic=False)
    loss = view.metric == "loss"
    words: dict[Kind, str] = {
        "train": "training, smoothed" if loss else view.metric,
        "raw": "training, each batch",
        "validation": "validation",
    }
    curves = curves_of(state, plain)
    lines = tuple(
        Line(kind=kind, words=label, points=points)
        for kind, label in words.items()
        if (points := _drawable(curves.get(kind, ()), view))
    )
    if sum(len(line.points) for line in lines) < 2:
        return None
    unit = " bits" if view.bits else " nats"
    best = next(iter(_drawable(tuple(filter(None, [best_point(state, plain)])), view)), None)
    height = None if best is None else best[1]
    return CurveFigure(
        title=_title(state),
        facts=_facts(state),
        across="steps" if state.progress.steps_per_epoch is None else "epochs",
        up=view.unit,
        logarithmic=view.logarithmic,
        lines=lines,
        levels=tuple(
            Level(words=f"{one_line(name, 20)} {fixed(level, 2)}{unit}", height=level)
            for name, level in references_of(state, plain).items()
        ),
        best=best,
        best_words=f"lowest validation: {fixed(height, 4)}{unit}, "
        f"step {grouped(state.losses.best_step or 0)}",
    )


def _drawable(points: tuple[Point, ...], view: ChartView) -> tuple[Point, ...]:
    """Returns the points that the chosen axis has a place for."""
    return tuple(point for point in points if point[1] > 0 or not view.logarithmic)


def _title(state: ViewState) -> str:
    if state.run is None:
        return "charlm-tui"
    return f"{one_line(state.run.corpus, 50)}: {one_line(state.run.run, 50)}"


def _facts(state: ViewState) -> str:
    parts = []
    if state.layers and state.hidden:
        parts.append(f"{NETWORKS[state.network].title} {state.layers}x{state.hidden}")
    if state.run is not None:
        parts.append(f"{short(state.run.parameters)} parameters")
        parts.append(f"seed {state.run.seed}")
    parts.append(f"step {grouped(state.progress.step)} after {clock(state.progress.seconds)}")
    return ", ".join(parts)
