"""The loss curve for terminals that have ASCII only."""

from __future__ import annotations

from collections.abc import Mapping

from model.runs.decimate import Point
from tui.view.absent import CURVE_COMES
from tui.view.format import fixed, short
from tui.widgets.painted import Row, sentence_rows

_AXIS_CELLS = 6
SIGNS: Mapping[str, tuple[str, str]] = {
    "raw": (".", "faint"),
    "train": ("*", "accent"),
    "validation": ("o", "warn"),
}
"""Sign and paint of each curve; later curves cover earlier ones."""


def ascii_rows(
    curves: dict[str, tuple[Point, ...]],
    width: int,
    height: int,
    *,
    epochs: bool = False,
    logarithmic: bool = False,
    signs: Mapping[str, tuple[str, str]] = SIGNS,
    unit: str | None = None,
    absent: str = CURVE_COMES,
) -> list[Row]:
    """Returns the chart as rows: an axis with the range on the left, steps or epochs below.

    Args:
        curves: points by the name of the curve.
        width: of the chart.
        height: of the chart.
        epochs: whether the x are epochs, else steps.
        logarithmic: whether the y are decimal logarithms.
        signs: sign and paint of each curve.
        unit: of the x, where they are neither.
        absent: the sentence for a chart without points.
    """
    points = [point for curve in curves.values() for point in curve]
    columns, lines = width - _AXIS_CELLS - 1, height - 2
    if len(points) < 2 or columns < 8 or lines < 2:
        return sentence_rows(absent, width)[: max(0, height)]
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = min(y for _, y in points), max(y for _, y in points)
    span_x, span_y = (high_x - low_x) or 1.0, (high_y - low_y) or 1.0
    cells: list[list[tuple[str, str]]] = [[(" ", "faint")] * columns for _ in range(lines)]
    for name, (sign, paint) in signs.items():
        for x, y in curves.get(name, ()):
            column = min(columns - 1, int((x - low_x) / span_x * columns))
            line = min(lines - 1, int((high_y - y) / span_y * lines))
            cells[line][column] = (sign, paint)
    rows: list[Row] = []
    for index, line_cells in enumerate(cells):
        label = {0: _tick(high_y, logarithmic), lines - 1: _tick(low_y, logarithmic)}.get(index, "")
        axis = (f"{label:>{_AXIS_CELLS - 1}} |", "label")
        rows.append((axis, *_joined(line_cells)))
    rows.append(((" " * (_AXIS_CELLS) + "+" + "-" * columns, "label"),))
    name = unit or ("epoch" if epochs else "step")
    digits = 2 if epochs else 0
    first, last = (f"{x:.{digits}f}" for x in (low_x, high_x))
    middle = name if unit else f"{name}   (* train  o validation)"
    scale = first + middle.center(columns - len(first) - len(last)) + last
    rows.append(((" " * (_AXIS_CELLS + 1) + scale[:columns], "label"),))
    return rows


def _tick(value: float, logarithmic: bool) -> str:
    """Returns a number of the axis in at most five characters."""
    if logarithmic:
        value = 10**value
    if abs(value) >= 1000:
        return short(value)
    if abs(value) < 1e-9 or abs(value) >= 0.01:
        return fixed(value, 2)
    return f"{value:.0e}".replace("e-0", "e-")


def _joined(cells: list[tuple[str, str]]) -> Row:
    """Returns the cells as parts; neighbours with the same paint become one part."""
    parts: list[tuple[str, str]] = []
    for sign, paint in cells:
        if parts and (parts[-1][1] == paint or sign == " "):
            parts[-1] = (parts[-1][0] + sign, parts[-1][1])
        else:
            parts.append((sign, paint))
    return tuple(parts)
