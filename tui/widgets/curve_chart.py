"""Curves drawn in braille by the plotting library, and a page of words until there are any.

``textual_plot`` draws them. Importing that takes longer than everything else on the screen
together, so a thread imports it when there is a curve to draw. A chart for ASCII has no plot: its
rows of signs take the place of the words.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.widget import Widget

from model.runs.decimate import Point, means
from tui.terminal.deferred import after_refresh
from tui.view.ticks import scale_of
from tui.widgets.painted import Painted, Row

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.geometry import Size

    from tui.widgets.curve_plot import CurvePlot

_MARGIN_LEFT = 6
_MIN_PLOT_CELLS = (16, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlottedCurve:
    """The points of a curve, drawn as a line or as signs."""

    points: Sequence[Point]
    style: str
    """Colour and attributes in the words of Rich."""
    sign: str | None = None
    """Draw this at each point; None draws a line through the points."""
    reduced: Callable[[Sequence[Point], int], list[Point]] = means
    """Reduces the points to a number of columns."""


class CurveChart(Widget):
    """A chart whose plot is put in place when it is first needed."""

    def __init__(self, *, ascii_only: bool, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._ascii_only = ascii_only
        self._plot: CurvePlot | None = None
        self._mounting = False

    def compose(self) -> ComposeResult:
        """Starts with the page of words."""
        yield Painted(id="chart-words")

    def present(self, rows: Sequence[Row]) -> None:
        """Shows rows, unless the plot has taken their place."""
        for words in self.query("#chart-words").results(Painted):
            words.present(rows)

    @property
    def canvas_size(self) -> Size | None:
        """The size of the plot's canvas; None before the first layout."""
        canvas = self._plot.query("#plot") if self._plot is not None else ()
        return canvas[0].size if canvas else None

    @property
    def is_settled(self) -> bool:
        """Whether no plot is on its way."""
        return not self._mounting or (self._plot is not None and self._plot.is_whole)

    def whole_plot(self, draw: Callable[[], None]) -> CurvePlot | None:
        """Returns the plot once all its parts are mounted; the first call starts that.

        Args:
            draw: fills the plot that is being mounted, as soon as it has its size.
        """
        if self._plot is None and not self._mounting:
            self._mounting = True
            self.run_worker(self._mount_plot(draw))
        return self._plot if self._plot is not None and self._plot.is_whole else None

    async def _mount_plot(self, draw: Callable[[], None]) -> None:
        """Imports the plotting library in a thread, then mounts the plot."""
        module = await asyncio.to_thread(importlib.import_module, "tui.widgets.curve_plot")
        if not self.is_attached:
            return
        plot: CurvePlot = module.CurvePlot(id="plot-widget", allow_pan_and_zoom=False)
        plot.can_focus = False
        plot.set_reactive(module.CurvePlot.margin_top, 0)
        plot.set_reactive(module.CurvePlot.margin_bottom, 1)
        plot.set_reactive(module.CurvePlot.margin_left, _MARGIN_LEFT)
        self._place(plot)
        await self.remove_children()
        await self.mount(plot)
        self._plot = plot
        after_refresh(self, draw)

    def _place(self, plot: CurvePlot) -> None:
        """Gives the plot its size, or hides it where it does not fit."""
        width, height = self.size
        plot.display = width >= _MIN_PLOT_CELLS[0] and height >= _MIN_PLOT_CELLS[1]
        # The plot draws a whole frame. One cell more than there is room for, and its upper and
        # right sides fall outside: two axes are left, and a row more for the curve.
        plot.styles.width, plot.styles.height = width + 1, height + 1
        plot.styles.offset = (0, -1)

    def draw(
        self,
        plot: CurvePlot,
        curves: Sequence[PlottedCurve],
        *,
        logarithmic: bool = False,
        levels: Sequence[float] = (),
        level_style: str = "",
    ) -> None:
        """Hands the curves to the plot, at most two points a column.

        Args:
            plot: what `whole_plot` returned.
            curves: later ones cover earlier ones; signs may lie outside the range of the lines.
            logarithmic: whether the heights are decimal logarithms.
            levels: heights of dashed lines, which are drawn first, where they cross the curves.
            level_style: their colour.
        """
        self._place(plot)
        width, height = self.size
        heights = [y for curve in curves for _, y in curve.points] or [0.0, 1.0]
        scale = scale_of(min(heights), max(heights), height - 2, logarithmic=logarithmic)
        margin = max([_MARGIN_LEFT, *(len(label) + 1 for label in scale.labels)])
        columns = max(1, width - margin - 2)
        drawn = [(curve, curve.reduced(curve.points, columns)) for curve in curves]
        lines = [point for curve, points in drawn if curve.sign is None for point in points]
        module = importlib.import_module("tui.widgets.curve_plot")
        with self.app.batch_update():
            plot.clear()
            if plot.margin_left != margin:
                plot.margin_left = margin
            plot.set_y_formatter(module.FixedAxis(scale))
            plot.set_x_formatter(module.SpacedAxis(columns))
            plot.set_xlimits(*padded([x for x, _ in lines], columns))
            plot.set_ylimits(scale.low, scale.high)
            low, high = min((y for _, y in lines), default=0), max((y for _, y in lines), default=0)
            for level in levels:
                if lines and low <= level <= high:
                    dashes = spaced(min(lines)[0], max(lines)[0], columns)
                    plot.scatter(
                        dashes, [level] * len(dashes), marker="╌", marker_style=level_style
                    )
            for curve, points in drawn:
                xs, ys = [x for x, _ in points], [y for _, y in points]
                if curve.sign is not None:
                    plot.scatter(xs, ys, marker=curve.sign, marker_style=curve.style)
                elif len(points) > 1:
                    plot.plot(xs, ys, line_style=curve.style, hires_mode=module.BRAILLE)
            # Otherwise rendering happens while painting and asks for a second painting: twice the
            # bytes on the wire.
            plot.render()


def spaced(low: float, high: float, columns: int) -> list[float]:
    """Returns the positions of dashes: every other column."""
    count = max(1, columns // 2)
    return [low + (high - low) * (place + 0.5) / count for place in range(count)]


def padded(values: list[float], cells: int) -> tuple[float | None, float | None]:
    """Returns limits that keep the outermost points a cell away from what the frame covers."""
    if not values:
        return None, None
    low, high = min(values), max(values)
    room = ((high - low) or max(abs(high), 1.0) * 0.01) / max(1, cells)
    return low - room / 2, high + room
