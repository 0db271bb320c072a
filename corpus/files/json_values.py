"""Values out of JSON, each taken with its type and its range. Pure.

Whatever does not fit raises ``ValueError`` with its name, for JSON of a file is anybody's: a list
where a number was, a truth value for a number, a number that is none, one of ten thousand digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_COUNT = 2**53
"""Of steps, epochs, characters: what a float64 still counts exactly."""
SHOWN = 40
"""Characters of a value that a message shows."""


def whole(name: str, value: object, low: int = 0, high: int = MAX_COUNT) -> int:
    """Returns a whole number.

    Raises:
        ValueError: it is none, or out of its range.
    """
    if type(value) is not int or not low <= value <= high:
        raise ValueError(odd(name, value))
    return value


def real(name: str, value: object, low: float, high: float) -> float:
    """Returns a finite number.

    Raises:
        ValueError: it is none, or out of its range.
    """
    if not (type(value) in {int, float} and low <= value <= high):  # type: ignore[operator]
        raise ValueError(odd(name, value))
    return float(value)  # type: ignore[arg-type]


def truth(name: str, value: object) -> bool:
    """Returns true or false.

    Raises:
        ValueError: it is neither.
    """
    if type(value) is not bool:
        raise ValueError(odd(name, value))
    return value


def text(name: str, value: object) -> str:
    """Returns a text; of a path it may hold what is no character.

    Raises:
        ValueError: it is none.
    """
    if type(value) is not str:
        raise ValueError(odd(name, value))
    return value


def record(name: str, value: object) -> Mapping[str, Any]:
    """Returns an object of JSON.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, dict):
        raise ValueError(odd(name, value))  # noqa: TRY004 - one kind of error for all of this
    return value


def odd(name: str, value: object) -> str:
    """Returns a sentence about a value that does not fit; a long one is cut."""
    try:
        shown = repr(value)
    except ValueError:  # a whole number of thousands of digits
        shown = "a number without end"
    return f"{name} is {shown[:SHOWN]}"
