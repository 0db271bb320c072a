"""The loss curve: training loss raw and smoothed, validation, and the best of it.

``textual_plot`` draws it. Importing that takes longer than everything else on the screen together,
so it is imported by a thread when there is a curve to draw. With ``ascii_only`` a chart of our own
stands in, which needs nothing.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any, ClassVar

from textual.widget import Widget

from model.runs.decimate import extremes, means
from tui.view.absent import no_curve
from tui.view.chart_view import ChartView, best_point, curves_of, references_of
from tui.view.state import ViewState
from tui.view.ticks import Scale, scale_of
from tui.widgets.ascii_chart import AsciiChart
from tui.widgets.painted import Painted, sentence_in_the_middle

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.geometry import Size

    from tui.widgets.curve_plot import CurvePlot

_MARGIN_LEFT = 6
_MIN_PLOT_CELLS = (16, 5)
_BEST = "◆"


class LossChart(Widget):
    """A chart that appears once there are two points."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--raw",
        "chart--train",
        "chart--validation",
        "chart--best",
        "chart--reference",
    }

    def __init__(self, *, ascii_only: bool, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._ascii_only = ascii_only
        self._plot: CurvePlot | None = None
        self._mounting = False
        self._drawn: tuple[Any, ...] | None = None

    def compose(self) -> ComposeResult:
        """Starts with a sentence, or with the ASCII chart."""
        if self._ascii_only:
            yield AsciiChart(id="ascii-chart")
        else:
            yield Painted(id="chart-words")

    def show(self, state: ViewState, view: ChartView, *, again: bool = False) -> None:
        """Draws the curves if they have changed."""
        curves = (state.losses.raw_curve, state.losses.validation_curve, state.references)
        key = (*curves, view, self.size, self._canvas_size(), self.app.theme)
        if (key == self._drawn and not again) or not self.size:
            return
        has_curve = len(state.losses.smoothed_curve.points) >= 2
        if self._ascii_only:
            self._drawn = key
            self.query_one(AsciiChart).show(state, view)
        elif not has_curve:
            words = self.query("#chart-words").results(Painted)
            for widget in words:
                widget.present(sentence_in_the_middle(no_curve(state), *widget.size))
        elif self._plot is None:
            self._mount_plot_once()
        elif self._plot.is_whole:
            self._drawn = key
            self._draw(self._plot, state, view)

    def _canvas_size(self) -> Size | None:
        """Returns the size of the plot's canvas; empty before the first layout."""
        canvas = self._plot.query("#plot") if self._plot is not None else ()
        return canvas[0].size if canvas else None

    def _mount_plot_once(self) -> None:
        """Starts to mount the plot."""
        if not self._mounting:
            self._mounting = True
            self.run_worker(self._mount_plot())

    async def _mount_plot(self) -> None:
        """Imports the plotting library in a thread, then mounts the plot."""
        module = await asyncio.to_thread(importlib.import_module, "tui.widgets.curve_plot")
        if not self.is_attached:
            return
        plot: CurvePlot = module.CurvePlot(id="plot-widget", allow_pan_and_zoom=False)
        plot.can_focus = False
        plot.set_reactive(module.CurvePlot.margin_top, 0)
        plot.set_reactive(module.CurvePlot.margin_bottom, 1)
        plot.set_reactive(module.CurvePlot.margin_left, _MARGIN_LEFT)
        await self.remove_children()
        await self.mount(plot)
        self._plot = plot

    def _draw(self, plot: CurvePlot, state: ViewState, view: ChartView) -> None:
        """Hands the curves to the plot, at most two points a column."""
        width, height = self.size
        plot.display = width >= _MIN_PLOT_CELLS[0] and height >= _MIN_PLOT_CELLS[1]
        # The plot draws a whole frame. One cell more than there is room for, and its upper and
        # right sides fall outside: two axes are left, and a row more for the curve.
        plot.styles.width, plot.styles.height = width + 1, height + 1
        plot.styles.offset = (0, -1)
        curves = curves_of(state, view)
        scale = _scale(curves, height - 2, logarithmic=view.logarithmic)
        margin = max([_MARGIN_LEFT, *(len(label) + 1 for label in scale.labels)])
        columns = max(1, width - margin - 2)
        raw = extremes(curves.get("raw", ()), columns)
        train = means(curves["train"], columns)
        validation = means(curves.get("validation", ()), columns)
        best = best_point(state, view)
        axes = importlib.import_module("tui.widgets.plot_axes")
        braille = importlib.import_module("textual_plot").HiResMode.BRAILLE
        with self.app.batch_update():
            plot.clear()
            if plot.margin_left != margin:
                plot.margin_left = margin
            plot.set_y_formatter(axes.FixedAxis(scale))
            plot.set_x_formatter(axes.SpacedAxis(columns))
            xs_seen = [x for x, _ in raw or train]
            ys_seen = [y for _, y in (*(raw or train), *validation)]
            plot.set_xlimits(*padded(xs_seen, columns))
            plot.set_ylimits(scale.low, scale.high)
            for height_of_line in references_of(state, view).values():
                if ys_seen and min(ys_seen) <= height_of_line <= max(ys_seen):
                    dashes = spaced(min(xs_seen), max(xs_seen), columns)
                    plot.scatter(
                        dashes,
                        [height_of_line] * len(dashes),
                        marker="╌",
                        marker_style=self._style("reference"),
                    )
            for name, points in (("raw", raw), ("validation", validation), ("train", train)):
                if len(points) > 1:
                    xs, ys = zip(*points, strict=True)
                    plot.plot(xs, ys, line_style=self._style(name), hires_mode=braille)
            for points, name, sign in (
                (validation, "validation", "•"),
                ([best] if best else [], "best", _BEST),
            ):
                if points:
                    xs, ys = zip(*points, strict=True)
                    plot.scatter(xs, ys, marker=sign, marker_style=self._style(name))
            # Otherwise rendering happens while painting and asks for a second painting: twice the
            # bytes on the wire.
            plot.render()

    def _style(self, name: str) -> str:
        """Returns the colour of a line in the words of Rich."""
        return str(self.get_component_rich_style(f"chart--{name}"))


def _scale(
    curves: dict[str, tuple[tuple[float, float], ...]], rows: int, *, logarithmic: bool
) -> Scale:
    """Returns the vertical scale that holds all curves."""
    heights = [y for points in curves.values() for _, y in points] or [0.0, 1.0]
    return scale_of(min(heights), max(heights), rows, logarithmic=logarithmic)


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
