"""Axes of the plot; slow to import, because the plotting library is imported, too."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from textual_plot import NumericAxisFormatter

from tui.view.format import short


class LogarithmicAxis(NumericAxisFormatter):
    """Ticks of an axis whose values are decimal logarithms."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Returns the labels: the numbers whose logarithms are given."""
        return [f"{10**tick:.3g}" if abs(tick) < 4 else f"{10**tick:.0e}" for tick in ticks]


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
        return ticks, labels

    def _have_room(self, ticks: Sequence[float], labels: Sequence[str], span: float) -> bool:
        cells = self._columns / span
        ends = zip(pairwise(ticks), pairwise(labels), strict=True)
        return all(
            (later - earlier) * cells >= (len(left) + len(right)) / 2 + 1
            for (earlier, later), (left, right) in ends
        )


class ShortAxis(NumericAxisFormatter):
    """Ticks of large numbers: ``150k``."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Returns the numbers in few characters, small ones as they are."""
        if max((abs(tick) for tick in ticks), default=0) < 1000:
            return list(super().get_labels_for_ticks(ticks))
        return [short(tick) for tick in ticks]
