"""Axes for the plot; imported together with the plotting library, which takes long."""

from __future__ import annotations

from collections.abc import Sequence

from textual_plot import NumericAxisFormatter

from tui.widgets.figures import short


class LogarithmicAxis(NumericAxisFormatter):
    """Ticks of an axis whose values are decimal logarithms."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Returns the numbers that the logarithms stand for."""
        return [f"{10**tick:.3g}" if abs(tick) < 4 else f"{10**tick:.0e}" for tick in ticks]


class ShortAxis(NumericAxisFormatter):
    """Ticks of large numbers: ``150k``."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Returns the numbers in few characters, small ones as they are."""
        if max((abs(tick) for tick in ticks), default=0) < 1000:
            return list(super().get_labels_for_ticks(ticks))
        return [short(tick) for tick in ticks]
