"""A curve of limited length, however long a training lasts. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

CURVE_POINTS: Final = 2_000
MAX_PLOTTED: Final = 1e12
SMALLEST: Final = 1e-12
"""Largest value of a plot; beyond it, the range of an axis would overflow."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of points that never grows beyond ``CURVE_POINTS``.

    When it is full, neighbours are averaged in pairs, and from then on each new point is the mean
    of twice as many values.
    """

    points: tuple[tuple[float, float], ...] = ()
    stride: int = 1
    """Number of values in one point."""
    pending: tuple[tuple[float, float], ...] = ()
    """Values of the next point."""

    def add(self, x: float, y: float) -> Curve:
        """Returns the curve with one more value; skips a value that is not finite.

        One that no axis has room for is drawn at the edge of what has.
        """
        if not (math.isfinite(x) and math.isfinite(y)):
            return self
        pending = (*self.pending, (within_reason(x), within_reason(y)))
        if len(pending) < self.stride:
            return replace(self, pending=pending)
        points = (*self.points, _mean_point(pending))
        stride = self.stride
        if len(points) > CURVE_POINTS:
            pairs = zip(points[::2], points[1::2], strict=False)
            left_over = points[-1:] if len(points) % 2 else ()
            points = (*(_mean_point(pair) for pair in pairs), *left_over)
            stride *= 2
        return Curve(points=points, stride=stride)

    def before(self, x: float) -> Curve:
        """Returns the curve without the points at ``x`` or beyond."""
        return replace(
            self,
            points=tuple(point for point in self.points if point[0] < x),
            pending=tuple(point for point in self.pending if point[0] < x),
        )

    @property
    def last(self) -> tuple[float, float] | None:
        """The newest point."""
        return self.points[-1] if self.points else None


NO_POINTS: Final = Curve()


def within_reason(value: float) -> float:
    """Returns the nearest number that can be drawn."""
    if abs(value) < SMALLEST:
        return 0.0
    return min(MAX_PLOTTED, max(-MAX_PLOTTED, value))


def _mean_point(points: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    """Returns the mean of some points."""
    count = len(points)
    return (sum(x for x, _ in points) / count, sum(y for _, y in points) / count)
