"""Functions compiled for this processor when they are first needed, and kept on the disk. Numba."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba

from model.processor import HAS_MATRIX_UNIT

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
        made = numba.njit(cache=cache, **_OPTIONS)(function)
    except RuntimeError:
        if not cache:
            raise
        return compiled(function)  # no folder to keep it in
    if cache:
        _depend_on_all_sources(made)
    return cast("FunctionT", made)


def _depend_on_all_sources(made: Any) -> None:
    """Has what is kept on the disk thrown away when any file changes that it may be compiled of.

    Numba looks at the function's own file alone, and compiles what it calls into it. It looks at
    what the processor can do, too, but not at what the system lets this process do with it.
    """
    file = getattr(getattr(made, "_cache", None), "_cache_file", None)
    if file is not None and hasattr(file, "_source_stamp"):
        file._source_stamp = (file._source_stamp, _stamp_of_sources(), HAS_MATRIX_UNIT)  # noqa: SLF001


@lru_cache(maxsize=1)
def _stamp_of_sources() -> int:
    """Returns a number that depends on times and sizes of this package's files."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    stamps = [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    return zlib.crc32(repr(stamps).encode())
