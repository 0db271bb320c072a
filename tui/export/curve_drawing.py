"""Draws the figure of a curve with matplotlib; slow to import, as the library is.

Words never lie on lines: the legend stands above the axes, and the references have their names to
the right of them. The colours are those of Okabe & Ito, which people with any kind of colour vision
can distinguish. The font is the library's own, so a file looks the same on every machine.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import Locator, LogLocator, MaxNLocator, NullLocator

from tui.config.themes import BLUE, BLUISH_GREEN, OKABE_ITO, ORANGE, SKY_BLUE, VERMILION
from tui.export.curve_figure import CurveFigure, Kind, Level
from tui.export.curve_file import Suffix
from tui.view.ticks import labels_of, labels_of_powers

WIDTH_INCHES: Final = 9.6
HEIGHT_INCHES: Final = 5.4
PNG_DOTS_PER_INCH: Final = 200
_LEFT, _BOTTOM, _RIGHT, _TOP = 0.085, 0.115, 0.975, 0.815
"""Edges of the axes, parts of the page."""
_NAMES_WIDTH: Final = 0.135
"""Margin for the references' names between the axes and the right edge, parts of the page."""
_POINTS_OF_HEIGHT: Final = HEIGHT_INCHES * 72 * (_TOP - _BOTTOM)
_NAME_DISTANCE: Final = 13 / _POINTS_OF_HEIGHT
"""Least distance of two names beside the axes, parts of their height."""
_MAX_DOTS: Final = 60
"""A curve of more points has no dots, which would hide it."""
_NARROW_RANGE: Final = 8.0
"""Ratio of highest to lowest below which a logarithmic axis has evenly spaced labels."""
_WIDTHS: Final[dict[Kind, float]] = {"raw": 0.7, "validation": 1.4, "train": 1.9}
"""Widths of the lines in points, the lowest line first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Colours:
    page: str
    ink: str
    quiet: str
    """Axes, references and secondary words."""
    grid: str
    lines: dict[Kind, str]
    best: str


_LIGHT: Final = _Colours(
    page="#ffffff",
    ink="#222222",
    quiet="#5f5f5f",
    grid="#e4e4e4",
    lines={"raw": "#a9cfe6", "train": BLUE, "validation": VERMILION},
    best=BLUISH_GREEN,
)
_DARK: Final = _Colours(
    page=str(OKABE_ITO.background),
    ink=str(OKABE_ITO.foreground),
    quiet="#a0a4ab",
    grid="#2b2e36",
    lines={"raw": "#34698a", "train": SKY_BLUE, "validation": ORANGE},
    best=BLUISH_GREEN,
)
_SETTINGS: Final[dict[Any, Any]] = {
    "font.family": ["sans-serif"],
    "font.size": 9.5,
    "text.parse_math": False,  # a name may have dollar signs
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "charlm-tui",  # the same identifiers in each file
    "pdf.fonttype": 42,
}
_UNSAID: Final[dict[Suffix, tuple[str, ...]]] = {
    "svg": ("Creator", "Date", "Format", "Type"),
    "png": ("Software",),
    "pdf": ("Creator", "Producer", "CreationDate"),
}
"""Metadata that would differ between two files of the same figure, or refer to other sites."""


def drawn(figure: CurveFigure, suffix: Suffix, *, dark: bool) -> bytes:
    """Returns the file of a figure; equal figures give equal bytes.

    Args:
        figure: what to draw.
        suffix: the format.
        dark: whether to draw on a dark page.
    """
    mpl.rcdefaults()  # a file matplotlibrc of the user changes nothing
    with mpl.rc_context(_SETTINGS):
        page = _page(figure, _DARK if dark else _LIGHT)
        buffer = io.BytesIO()
        page.savefig(
            buffer,
            format=suffix,
            dpi=PNG_DOTS_PER_INCH if suffix == "png" else "figure",
            metadata=dict.fromkeys(_UNSAID[suffix])
            | {"Title": f"{figure.title}: {figure.up}. {figure.facts}"},
        )
    data = buffer.getvalue()
    # What precedes the root of an SVG file refers to other sites.
    return data[data.index(b"<svg") :] if suffix == "svg" else data


def _page(figure: CurveFigure, colours: _Colours) -> Figure:
    page = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), facecolor=colours.page)
    right = _RIGHT - (_NAMES_WIDTH if figure.levels else 0)
    axes = page.add_axes((_LEFT, _BOTTOM, right - _LEFT, _TOP - _BOTTOM))
    axes.set_facecolor(colours.page)
    handles = [*_lines(axes, figure, colours), *_best(axes, figure, colours)]
    _shape_axes(axes, figure, colours)
    _levels(axes, figure.levels, colours)
    legend = page.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(_LEFT - 0.008, _TOP),
        ncols=len(handles),
        frameon=False,
        labelcolor=colours.ink,
        columnspacing=1.6,
        handlelength=1.8,
    )
    legend.set_in_layout(False)
    for words, height, size, colour, weight in (
        (figure.title, 0.945, 14.0, colours.ink, "bold"),
        (figure.facts, 0.9, 9.5, colours.quiet, "normal"),
    ):
        text = page.text(_LEFT, height, words, size=size, color=colour, weight=weight)
        _shrink_to(text, _RIGHT - _LEFT)
    return page


def _shrink_to(text: Text, room: float) -> None:
    """Makes the letters of a line smaller until it fits.

    Args:
        text: the line.
        room: parts of the width of the page.
    """
    page = text.get_figure(root=True)
    assert page is not None
    while text.get_window_extent().width > room * page.bbox.width:
        text.set_fontsize(float(text.get_fontsize()) * 0.95)


def _lines(axes: Axes, figure: CurveFigure, colours: _Colours) -> Iterator[Line2D]:
    """Draws the curves; yields them in the order of the legend."""
    for line in figure.lines:
        dots = "o" if line.kind == "validation" and len(line.points) <= _MAX_DOTS else ""
        yield axes.plot(
            *zip(*line.points, strict=True),
            label=line.words,
            color=colours.lines[line.kind],
            linewidth=_WIDTHS[line.kind],
            marker=dots or ("." if len(line.points) == 1 else ""),
            markersize=4.5,
            markeredgecolor=colours.page,
            markeredgewidth=0.6,
            solid_joinstyle="round",
            zorder=2 + list(_WIDTHS).index(line.kind) / 10,
        )[0]


def _best(axes: Axes, figure: CurveFigure, colours: _Colours) -> Iterator[Line2D]:
    """Draws the best validation; yields it for the legend."""
    if figure.best is not None:
        yield axes.plot(
            *([number] for number in figure.best),
            label=figure.best_words,
            color=colours.best,
            linestyle="",
            marker="D",
            markersize=7,
            markeredgecolor=colours.page,
            zorder=3,
        )[0]


def _shape_axes(axes: Axes, figure: CurveFigure, colours: _Colours) -> None:
    """Gives the axes their range, numbers, names and grid."""
    if figure.logarithmic:
        axes.set_yscale("log")
    axes.margins(x=0.012, y=0.05)
    axes.set_xlabel(figure.across, color=colours.ink, size=10.5)
    axes.set_ylabel(figure.up, color=colours.ink, size=10.5)
    axes.set_xticks(*_ticks(axes.get_xlim()))
    axes.set_yticks(*_ticks(axes.get_ylim(), logarithmic=figure.logarithmic))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.tick_params(color=colours.quiet, labelcolor=colours.ink)
    axes.grid(visible=True, axis="y", color=colours.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    for name, edge in axes.spines.items():
        edge.set_color(colours.quiet)
        edge.set_visible(name in {"left", "bottom"})


def _ticks(
    limits: tuple[float, float], *, logarithmic: bool = False
) -> tuple[list[float], list[str]]:
    """Returns round numbers between two limits, and their labels, as on the screen's chart."""
    low, high = limits
    locator: Locator = MaxNLocator(8, steps=[1, 2, 5, 10])
    if logarithmic and high > _NARROW_RANGE * low:
        locator = LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,), numticks=9)
    ticks = [float(tick) for tick in locator.tick_values(low, high) if low <= tick <= high]
    if logarithmic:
        return ticks, list(labels_of_powers(tuple(map(math.log10, ticks))))
    step = min((later - tick for tick, later in pairwise(ticks)), default=1.0)
    return ticks, list(labels_of(tuple(ticks), step))


def _levels(axes: Axes, levels: Sequence[Level], colours: _Colours) -> None:
    """Draws the references that are in the range, with their names to the right of the axes."""
    low, high = axes.get_ylim()
    shown = sorted(
        (level for level in levels if low <= level.height <= high), key=lambda level: level.height
    )
    to_parts = axes.transData + axes.transAxes.inverted()
    heights = [float(to_parts.transform((0, level.height))[1]) for level in shown]
    for level, height, place in zip(shown, heights, places_of_names(heights), strict=True):
        axes.axhline(level.height, color=colours.quiet, linewidth=1, linestyle=(0, (5, 4)))
        pointer = Line2D(
            (1.0, 1.012, 1.02),
            (height, place, place),
            transform=axes.transAxes,
            color=colours.quiet,
            linewidth=0.8,
            clip_on=False,
        )
        axes.add_line(pointer)
        axes.text(
            1.026, place, level.words, transform=axes.transAxes, color=colours.ink, va="center"
        )
    axes.set_ylim(low, high)


def places_of_names(heights: Sequence[float]) -> list[float]:
    """Returns where names stand beside lines: near them, and far enough from each other.

    Args:
        heights: of the lines from the lowest on, parts of the height of the axes.
    """
    places: list[float] = []
    for height in heights:
        places.append(max([height, *(place + _NAME_DISTANCE for place in places[-1:])]))
    top = 1.0
    for number in reversed(range(len(places))):
        places[number] = min(places[number], top)
        top = places[number] - _NAME_DISTANCE
    return places
