"""Functions compiled for this processor when they are first needed, and kept on the disk. Numba."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from model.kernels.cpu import HAS_AMX
from model.kernels.disk_cache import KernelCache

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

# Branches for a division by zero would keep a loop from being done in vectors; and NaN must stay.
_OPTIONS: Final[dict[str, Any]] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp", "afn"},
}

if cast("Any", numba).config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT is set")  # interpreted, it would take hours


class Kernel:
    """A function, compiled for this processor when it is first needed, and kept on the disk."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function
        """As it was written; compiled once more, other kernels may call it."""
        self.run = inline(function)
        """Takes arrays; shapes and types are not looked at."""
        # Numba's own cache takes what lies there for what it wrote.
        cast("Any", self.run)._cache = KernelCache(function, _stamp)  # noqa: SLF001


def inline(function: FunctionT) -> FunctionT:
    """Returns the function compiled; what is called by kernels alone is kept with them."""
    return cast("FunctionT", numba.njit(**_OPTIONS)(function))


@lru_cache(maxsize=1)
def _stamp() -> tuple[int, bool]:
    """Returns what kernels depend on: times and sizes of this package's files, and the system.

    A kernel is compiled of functions and constants of several files. What the processor can do is
    in Numba's own key, what the system lets this process do with it is not.
    """
    files = sorted(Path(__file__).parent.glob("*.py"))
    stamps = [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    return zlib.crc32(repr(stamps).encode()), HAS_AMX


@Kernel
def _add_up(numbers: npt.NDArray[np.int64]) -> None:
    for place in range(1, len(numbers)):
        numbers[0] += numbers[place]


def adds_up() -> bool:
    """Compiles a small kernel, or loads it, and runs it; returns whether its result is right."""
    numbers = np.arange(5)
    _add_up.run(numbers)
    return int(numbers[0]) == 10
