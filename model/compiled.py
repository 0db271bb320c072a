"""Functions compiled for this processor when they are first needed, and kept on the disk. Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

# Branches for a division by zero would keep a loop from being done in vectors; and NaN must stay.
_OPTIONS: Final[dict[str, Any]] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp", "afn"},
}


class Kernel:
    """A function, compiled for this processor when it is first needed, and kept on the disk."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function
        """As it was written; compiled anew, other kernels may call it."""
        self.run = compiled(function, cache=True)
        """Takes arrays; shapes and types are not looked at."""

    def prepare(self, *arguments: object) -> None:
        """Compiles or loads it for arguments of these types, by a call with them.

        What is kept on the disk cannot do harm there: where it is damaged, or where there is no
        room for it, the function is compiled for this process alone.
        """
        try:
            self.run(*arguments)
        except Exception:  # noqa: BLE001 - whatever comes of a damaged file; see the second try
            self.run = compiled(self.function)
            self.run(*arguments)


def compiled(function: FunctionT, *, cache: bool = False) -> FunctionT:
    """Returns the function compiled, kept on the disk if asked for and if there is a place."""
    try:
        return cast("FunctionT", numba.njit(cache=cache, **_OPTIONS)(function))
    except RuntimeError:
        if not cache:
            raise
        return compiled(function)  # no folder to keep it in
