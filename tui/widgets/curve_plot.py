"""The library's plot, safe while it is mounted and removed; slow to import, as the library is.

A plot asks for its parts when it is put in place, when its margins change and when it is drawn.
When the app ends, or its screen is taken away, the parts go first, one after the other, and what
was on its way to the plot still arrives.
"""

from __future__ import annotations

from textual_plot import PlotWidget

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
