"""Checks the type and the range of values from JSON. Pure.

An invalid value raises ``ValueError`` with its name. JSON from a file is not trusted: it may hold a
list or a boolean instead of a number, a NaN, or a number of ten thousand digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_COUNT = 2**53
"""Maximum of steps, epochs and characters: a float64 holds all integers up to this one."""
SHOWN = 40
"""Maximum number of characters of a value that a message shows."""


def whole(name: str, value: object, low: int = 0, high: int = MAX_COUNT) -> int:
    """Returns the value if it is an integer from `low` to `high`.

    Raises:
        ValueError: the value has another type, or is out of range.
    """
    if type(value) is not int or not low <= value <= high:
        raise ValueError(odd(name, value))
    return value


def real(name: str, value: object, low: float, high: float) -> float:
    """Returns the value as a float if it is a finite number from `low` to `high`.

    Raises:
        ValueError: the value has another type, or is out of range.
    """
    if not (type(value) in {int, float} and low <= value <= high):  # type: ignore[operator]
        raise ValueError(odd(name, value))
    return float(value)  # type: ignore[arg-type]


def truth(name: str, value: object) -> bool:
    """Returns the value if it is a boolean.

    Raises:
        ValueError: the value has another type.
    """
    if type(value) is not bool:
        raise ValueError(odd(name, value))
    return value


def text(name: str, value: object) -> str:
    """Returns the value if it is a string. A path may hold lone surrogates.

    Raises:
        ValueError: the value has another type.
    """
    if type(value) is not str:
        raise ValueError(odd(name, value))
    return value


def record(name: str, value: object) -> Mapping[str, Any]:
    """Returns the value if it is a JSON object.

    Raises:
        ValueError: the value has another type.
    """
    if not isinstance(value, dict):
        raise ValueError(odd(name, value))  # noqa: TRY004 - one kind of error for all of this
    return value


def odd(name: str, value: object) -> str:
    """Returns a clause about an invalid value; a long value is shortened."""
    try:
        shown = repr(value)
    except ValueError:  # an integer of thousands of digits
        shown = "a number without end"
    return f"{name} is {shown[:SHOWN]}"
