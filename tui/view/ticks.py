"""Ticks of an axis whose lines are rows of cells: evenly spaced, with labels that differ. Pure.

Rows are the smallest distance that a terminal can show. A tick between two rows is drawn in one of
them, and even ticks look uneven. So the scale is chosen in rows: a round step takes a whole number
of rows, and each tick lies in the middle of its row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tui.view.format import fixed

_ROUND_STEPS: Final = (1, 2, 5)
_MAX_ROWS_A_TICK: Final = 4
_FEW_TICKS_COST: Final = 1.3
"""A scale with two ticks may waste this much less room than one with more, as a factor."""
_ZERO: Final = 1e-200
"""A range that is smaller counts as none: its steps would be no floats any more."""
_CONSTANT: Final = 1e-3
"""Relative change below which a curve counts as constant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The range of an axis and its ticks."""

    low: float
    """The lower edge of the lowest row."""
    high: float
    """The upper edge of the highest row."""
    ticks: tuple[float, ...]
    labels: tuple[str, ...]


def scale_of(low: float, high: float, rows: int, *, logarithmic: bool = False) -> Scale:
    """Returns a scale that holds all values from ``low`` to ``high``.

    Args:
        low: the smallest value, finite.
        high: the largest value, finite.
        rows: cells of the axis.
        logarithmic: whether the values are decimal logarithms; the labels are their numbers.
    """
    rows = max(1, rows)
    low, high = min(low, high), max(low, high)
    largest = max(abs(low), abs(high))
    if high - low <= max(_CONSTANT * largest, _ZERO):
        margin = 0.1 * largest if largest > _ZERO else 1.0
        low, high = low - margin, high + margin
    step, rows_a_tick = _best_step(low, high, rows)
    row = step / rows_a_tick
    first, last = _row_of(low, row), _row_of(high, row)
    first -= max(0, rows - (last - first + 1)) // 2
    places = [number for number in range(first, first + rows) if number % rows_a_tick == 0]
    ticks = tuple(number // rows_a_tick * step for number in places)
    return Scale(
        low=(first - 0.5) * row,
        high=(first - 0.5 + rows) * row,
        ticks=ticks,
        labels=labels_of_powers(ticks) if logarithmic else labels_of(ticks, step),
    )


def _best_step(low: float, high: float, rows: int) -> tuple[float, int]:
    """Returns the round step, and its rows, that wastes the least room."""
    power = math.floor(math.log10((high - low) / rows))
    choices = [
        (digit * 10.0**exponent, rows_a_tick)
        for exponent in range(power, power + 4)
        for digit in _ROUND_STEPS
        for rows_a_tick in range(1, _MAX_ROWS_A_TICK + 1)
    ]

    def cost(choice: tuple[float, int]) -> float:
        step, rows_a_tick = choice
        row = step / rows_a_tick
        if _row_of(high, row) - _row_of(low, row) + 1 > rows:
            return math.inf
        return row * (1.0 if rows // rows_a_tick >= 3 else _FEW_TICKS_COST)

    return min(choices, key=cost)


def _row_of(value: float, row: float) -> int:
    """Returns the number of the row whose middle is nearest to a value."""
    return math.floor(value / row + 0.5)


def labels_of(ticks: tuple[float, ...], step: float) -> tuple[str, ...]:
    """Returns the labels of ticks that are a step apart: numbers in few characters."""
    largest = max((abs(tick) for tick in ticks), default=0.0)
    unit, sign = 1.0, ""
    if largest >= 1000:
        exponent = min(4, int(math.log10(largest * 1.0001)) // 3)
        unit, sign = 1000.0**exponent, ("", "k", "M", "G", "T")[exponent]
    elif 0 < largest < 0.01:
        exponent = math.floor(math.log10(largest * 1.0001))
        unit, sign = 10.0**exponent, f"e{exponent}"
    digits = max(0, -math.floor(math.log10(step / unit) + 1e-9))
    labels = tuple(f"{tick / unit:.{digits}f}{sign}" for tick in ticks)
    return tuple("0" if tick == 0 else label for tick, label in zip(ticks, labels, strict=True))


def labels_of_powers(ticks: tuple[float, ...]) -> tuple[str, ...]:
    """Returns the numbers with these decimal logarithms, in digits that tell them apart."""
    for digits in range(2, 7):
        labels = tuple(_number(10**tick, digits) for tick in ticks)
        if len(set(labels)) == len(labels):
            break
    return labels


def _number(value: float, digits: int) -> str:
    """Returns a positive number with some significant digits."""
    exponent = math.floor(math.log10(value) + 1e-9)
    if 3 <= exponent < 15:
        group = exponent // 3
        places = max(0, digits - 1 - exponent % 3)
        return f"{value / 1000**group:.{places}f}{'kMGT'[group - 1]}"
    if -3 < exponent < 3:
        return fixed(value, max(0, digits - 1 - exponent))
    return f"{value / 10.0**exponent:.{digits - 1}f}e{exponent}"
