"""Settings of the C library's allocator for the steps of a training."""

from __future__ import annotations

import contextlib
import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of these settings in glibc's ``malloc.h``."""


def keep_freed_memory() -> bool:
    """Lets the C library keep what a step frees, for the next one; for the whole process.

    It gives back to the system what is free at the end of its heap beyond some megabytes, and
    every step would then have its activations put in place, and cleared, page by page again.

    Returns:
        Whether this C library can be told so (glibc can).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1) and mallopt(_MMAP_THRESHOLD, 32 * 2**20))


def give_back_memory() -> None:
    """Gives back to the system what is free now: what was tried out and is not needed again."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
