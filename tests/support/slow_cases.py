"""Which cases of a test wait for ``make test-slow``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def slowly(cases: Iterable[Any], *, but: int = 1) -> list[Any]:
    """Returns a test's cases; all after the first ``but`` are for ``make test-slow``."""
    return [
        case if place < but else pytest.param(case, marks=pytest.mark.slow)
        for place, case in enumerate(cases)
    ]
