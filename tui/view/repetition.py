"""Detects a text that repeats itself. Pure."""

from __future__ import annotations

from typing import Final

MAX_PERIOD: Final = 200
REPEATED: Final = 120
"""Characters that must have repeated before it is said; and at least three times the period."""


def period_of(text: str) -> int | None:
    """Returns the length of the passage that the end of the text repeats, or None.

    A run of one character, such as spaces, counts as any other period.
    """
    for period in range(1, min(MAX_PERIOD, len(text) // 4) + 1):
        needed = max(REPEATED, 3 * period)
        if len(text) < needed + period:
            return None
        end = text[-needed:]
        if end == text[-needed - period : -period]:
            return period
    return None
