"""The library's plot with axes of ours; slow to import, as the library is.

A plot asks for its parts when it is put in place, when its margins change and when it is drawn.
When the app ends, or its screen is taken away, the parts go first, one after the other, and what
was on its way to the plot still arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from textual_plot import HiResMode, NumericAxisFormatter, PlotWidget

from tui.view.ticks import Scale

BRAILLE = HiResMode.BRAILLE
_PARTS = ("Grid", "#margin-top", "#margin-left", "#plot", "#margin-bottom", "#legend")


class CurvePlot(PlotWidget):
    """A plot that draws only while all its parts are mounted."""

    @property
    def is_whole(self) -> bool:
        """Whether all parts are mounted."""
        return all(self.query(part) for part in _PARTS)

    def _update_margin_sizes(self) -> None:
        if self.is_whole:
            super()._update_margin_sizes()

    def _update_legend(self) -> None:
        if self.is_whole:
            super()._update_legend()

    def _position_legend(self) -> None:
        if self.is_whole:
            super()._position_legend()

    def _render_plot(self) -> None:
        if self.is_whole:
            super()._render_plot()


class SpacedAxis(NumericAxisFormatter):
    """Ticks below a plot: as many as have room for their labels, with a cell between."""

    def __init__(self, columns: int) -> None:
        """Makes an axis of a width in cells."""
        self._columns = columns

    def get_ticks_and_labels(
        self, min_: float, max_: float, max_ticks: int = 8
    ) -> tuple[list[float], list[str]]:
        """Returns ticks and labels: fewer round numbers first, then every second of them."""
        for most in range(max_ticks, 1, -1):
            ticks, labels = super().get_ticks_and_labels(min_, max_, most)
            if self._have_room(ticks, labels, max_ - min_):
                break
        while not self._have_room(ticks, labels, max_ - min_):
            ticks, labels = ticks[::2], labels[::2]
        whole = [
            (tick, label)
            for tick, label in zip(ticks, labels, strict=True)
            if (tick - min_) * self._columns / (max_ - min_) + len(label) / 2 <= self._columns
        ]
        if whole:  # the others would be cut at the edge of the pane
            return [tick for tick, _ in whole], [label for _, label in whole]
        return ticks[:1], labels[:1]

    def _have_room(self, ticks: Sequence[float], labels: Sequence[str], span: float) -> bool:
        cells = self._columns / span
        ends = zip(pairwise(ticks), pairwise(labels), strict=True)
        return all(
            (later - earlier) * cells >= (len(left) + len(right)) / 2 + 1
            for (earlier, later), (left, right) in ends
        )


class FixedAxis(NumericAxisFormatter):
    """Ticks that were chosen together with the range of the axis."""

    def __init__(self, scale: Scale) -> None:
        """Makes an axis of a scale."""
        self._scale = scale

    def get_ticks_and_labels(
        self,
        min_: float,  # noqa: ARG002 - the plot's range is that of the scale
        max_: float,  # noqa: ARG002
        max_ticks: int = 8,  # noqa: ARG002
    ) -> tuple[list[float], list[str]]:
        """Returns the ticks and labels of the scale."""
        return list(self._scale.ticks), list(self._scale.labels)
