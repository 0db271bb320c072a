"""Reduces the points of a curve to the columns of a chart, and keeps extremes or means."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]


def extremes(points: Sequence[Point], columns: int) -> list[Point]:
    """Returns at most two points for each column: the lowest and the highest, in their order."""
    if columns < 1:
        return []
    if len(points) <= 2 * columns:
        return list(points)
    kept: list[Point] = []
    for column in range(columns):
        start = column * len(points) // columns
        end = (column + 1) * len(points) // columns
        bucket = points[start:end]
        low = min(bucket, key=lambda point: point[1])
        high = max(bucket, key=lambda point: point[1])
        kept.extend(sorted({low, high}))
    return kept


def means(points: Sequence[Point], columns: int) -> list[Point]:
    """Returns at most two points for each column: means of neighbours; the last one is kept."""
    buckets = 2 * columns
    if columns < 1:
        return []
    if len(points) <= buckets:
        return list(points)
    kept: list[Point] = []
    for index in range(buckets - 1):
        start = index * (len(points) - 1) // (buckets - 1)
        end = max(start + 1, (index + 1) * (len(points) - 1) // (buckets - 1))
        bucket = points[start:end]
        kept.append(
            (sum(x for x, _ in bucket) / len(bucket), sum(y for _, y in bucket) / len(bucket))
        )
    kept.append(points[-1])
    return kept
