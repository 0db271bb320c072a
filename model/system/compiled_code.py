"""Provides compiled code if possible, and the reason if not. Numba is imported on first use.

Without compiled code, NumPy and PyTorch do the same work more slowly. So the program continues if
Numba is missing or disabled, if LLVM fails, or if the system forbids generated code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

MadeT = TypeVar("MadeT")

_FAILURES: Final[list[str]] = []
"""The first failure of this process; after it, compilation is not tried again."""


def made_or_none(make: Callable[[], MadeT]) -> MadeT | None:
    """Returns an object that uses compiled code; None after the first failure of compilation.

    Args:
        make: imports and compiles the code, and returns the object that uses it.
    """
    if _FAILURES:
        return None
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - whatever a compiler or its libraries may raise
        _FAILURES.append(" ".join(f"{type(error).__name__}: {error}".split()))
        return None


def setback() -> str | None:
    """Returns one line on why this process does not use compiled code; None if it does."""
    if not _FAILURES:
        return None
    return f"nothing can be compiled here ({_FAILURES[0]}); NumPy computes, more slowly"
