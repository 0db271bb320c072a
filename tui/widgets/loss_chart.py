"""The loss curve: training loss raw and smoothed, validation, and the best of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from model.runs.decimate import extremes
from tui.view.absent import no_curve
from tui.view.chart_view import ChartView, best_point, curves_of, references_of
from tui.view.state import ViewState
from tui.widgets.ascii_chart import ascii_rows
from tui.widgets.curve_chart import CurveChart, PlottedCurve
from tui.widgets.painted import sentence_in_the_middle

if TYPE_CHECKING:
    from tui.widgets.curve_plot import CurvePlot

_DOT, _BEST = "•", "◆"


class LossChart(CurveChart):
    """A chart that appears once there are two points."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--raw",
        "chart--train",
        "chart--validation",
        "chart--best",
        "chart--reference",
    }

    _drawn: tuple[Any, ...] | None = None
    """What the last drawing depended on."""

    def show(self, state: ViewState, view: ChartView, *, again: bool = False) -> None:
        """Draws the curves if they have changed."""
        curves = (state.losses.raw_curve, state.losses.validation_curve, state.references)
        key = (*curves, view, self.size, self.canvas_size, self.app.theme)
        if (key == self._drawn and not again) or not self.size:
            return
        if self._ascii_only:
            self._drawn = key
            self.present(
                ascii_rows(
                    curves_of(state, view),
                    *self.size,
                    epochs=state.progress.steps_per_epoch is not None,
                    logarithmic=view.logarithmic,
                    absent=no_curve(state),
                )
            )
        elif len(state.losses.smoothed_curve.points) < 2:
            self.present(sentence_in_the_middle(no_curve(state), *self.size))
        elif (plot := self.whole_plot(partial(self.show, state, view))) is not None:
            self._drawn = key
            self._draw_curves(plot, state, view)

    def _draw_curves(self, plot: CurvePlot, state: ViewState, view: ChartView) -> None:
        """Hands the curves of the state to the plot."""
        curves = curves_of(state, view)
        raw, validation = curves.get("raw", ()), curves.get("validation", ())
        best = best_point(state, view)
        self.draw(
            plot,
            [
                PlottedCurve(points=raw, style=self._style("raw"), reduced=extremes),
                PlottedCurve(points=validation, style=self._style("validation")),
                PlottedCurve(points=curves["train"], style=self._style("train")),
                PlottedCurve(points=validation, style=self._style("validation"), sign=_DOT),
                PlottedCurve(points=[best] if best else [], style=self._style("best"), sign=_BEST),
            ],
            logarithmic=view.logarithmic,
            levels=list(references_of(state, view).values()),
            level_style=self._style("reference"),
        )

    def _style(self, name: str) -> str:
        """Returns the colour of a line in the words of Rich."""
        return str(self.get_component_rich_style(f"chart--{name}"))
