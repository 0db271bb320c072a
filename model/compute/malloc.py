"""Settings of the C library's memory allocator that make training steps faster."""

from __future__ import annotations

import contextlib
import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Values of ``M_TRIM_THRESHOLD`` and ``M_MMAP_THRESHOLD`` in glibc's ``malloc.h``."""


def keep_freed_memory() -> bool:
    """Makes the C library keep the memory that a step frees for the next step.

    By default the library returns free memory at the end of its heap to the system beyond some
    megabytes. The system would then map and clear the activations of every step page by page.
    The setting holds for the whole process.

    Returns:
        Whether the C library supports the setting (glibc does).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1) and mallopt(_MMAP_THRESHOLD, 32 * 2**20))


def give_back_memory() -> None:
    """Returns free memory to the system, such as that of the engines that were tried out."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
