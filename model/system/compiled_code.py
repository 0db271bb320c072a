"""Compiled code where it can be had, and why not where it cannot. It loads Numba when asked.

What NumPy and PyTorch do stands in for it, only more slowly: that Numba is not there or turned off,
that LLVM does not work or the system lets no program make code, is no reason to end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

MadeT = TypeVar("MadeT")

_FAILURES: Final[list[str]] = []
"""The first failure of this process; what failed once is not tried again."""


def made_or_none(make: Callable[[], MadeT]) -> MadeT | None:
    """Returns what needs compiled code, or None where that cannot be had, now and from now on.

    Args:
        make: imports what is compiled, compiles it and returns what uses it.
    """
    if _FAILURES:
        return None
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - whatever a compiler or its libraries may raise
        _FAILURES.append(" ".join(f"{type(error).__name__}: {error}".split()))
        return None


def setback() -> str | None:
    """Returns one line on what kept this process from using compiled code, if anything did."""
    if not _FAILURES:
        return None
    return f"nothing can be compiled here ({_FAILURES[0]}); NumPy computes, more slowly"
