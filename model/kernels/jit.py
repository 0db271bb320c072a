"""Functions that Numba compiles for this processor at the first call, and keeps on the disk."""

from __future__ import annotations

import itertools
import os
import secrets
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from numba.core.bytecode import FunctionIdentity
from numba.extending import register_jitable

from model.kernels.cpu import SIMD, llvm_features
from model.kernels.disk_cache import KernelCache

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

# Branches for a division by zero would keep LLVM from vectorising a loop. With `fastmath` it would
# order sums in its own way, which depends on the code around them and on the processor.
_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "error_model": "numpy"}

if cast("Any", numba).config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT is set")  # interpreted kernels would take hours


# The names of compiled functions end with a number that Numba counts up in each process. Of two
# functions with one name, in kernels that two processes saved, all kernels would use the first.
def _number_functions() -> None:
    cast("Any", FunctionIdentity)._unique_ids = itertools.count(secrets.randbits(48))  # noqa: SLF001


_number_functions()
os.register_at_fork(after_in_child=_number_functions)

if llvm_features() is not None:  # read when the first function is compiled
    cast("Any", numba).config.CPU_FEATURES = llvm_features()


class Kernel:
    """A compiled function that Python calls; it is kept on the disk."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function
        """The Python function. Another kernel that calls it compiles it once more, by `inline`."""
        self.run = inline(function)
        """Takes arrays; it checks neither shapes nor dtypes."""
        # Numba's own cache trusts any file that it finds in its folder.
        cast("Any", self.run)._cache = KernelCache(function, _stamp)  # noqa: SLF001


def inline(function: FunctionT) -> FunctionT:
    """Returns a compiled function for kernels to call; it is kept as a part of each of them."""
    return cast("FunctionT", numba.njit(**_OPTIONS)(function))


def merged(function: FunctionT) -> FunctionT:
    """Returns a function that is merged into those that call it before they are compiled.

    At a call of any other function Numba counts the references to each array, by two locked
    instructions.
    """
    return cast("FunctionT", numba.njit(**_OPTIONS, inline="always")(function))


def inline_too(function: FunctionT) -> FunctionT:
    """Returns a function of Python that kernels may call, too."""
    jitable: FunctionT = register_jitable(**_OPTIONS)(function)
    return jitable


@lru_cache(maxsize=1)
def _stamp() -> tuple[int, str]:
    """Returns what kernels depend on: times and sizes of this package's files, and the SIMD level.

    A kernel is compiled from functions and constants of several files. The processor is in Numba's
    own key; whether the system permits AMX is not.
    """
    files = sorted(Path(__file__).parent.glob("*.py"))
    stamps = [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    return zlib.crc32(repr(stamps).encode()), SIMD


@Kernel
def _add_up(numbers: npt.NDArray[np.int64]) -> None:
    for place in range(1, len(numbers)):
        numbers[0] += numbers[place]


def adds_up() -> bool:
    """Compiles a small kernel, or loads it, and runs it; returns whether its result is right."""
    numbers = np.arange(5)
    _add_up.run(numbers)
    return int(numbers[0]) == 10
