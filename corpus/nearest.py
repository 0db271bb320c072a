"""The known name that is nearest to a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_SIMILARITY: Final = 0.6
"""Minimum of ``difflib``'s ratio, which is 0.8 for two swapped letters in a name of five."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the most similar of the known names; None if none is similar."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=_SIMILARITY)
    return close[0] if close else None
