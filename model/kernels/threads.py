"""Threads that run one piece of compiled code together, each its rank's part of it. NumPy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

ARRIVALS_WIDTH: Final = 8
"""Numbers in a row of the counters: one cache line, so that ranks do not share lines."""

Arrivals = npt.NDArray[np.int64]
"""[size + 1, ARRIVALS_WIDTH]: barriers that each rank has reached; the last row is not 0 after a
failure, and then no rank waits any more."""

Part = Callable[[int, Arrivals], object]
"""Does one rank's part of the work; ranks meet at barriers that count in the arrivals."""


class Team:
    """So many threads at most, the caller's own among them."""

    def __init__(self, most: int, prepare: Callable[[], None] | None = None) -> None:
        """Starts no thread yet.

        Args:
            most: threads.
            prepare: is called first in each of the others.
        """
        self._pool = ThreadPoolExecutor(max(1, most - 1), "team", initializer=prepare)

    def run(self, parts: int, work: Part) -> None:
        """Does all parts at the same time; returns when all are done."""
        clocks = np.zeros((parts + 1, ARRIVALS_WIDTH), np.int64)
        others = [self._pool.submit(work, part, clocks) for part in range(1, parts)]
        try:
            work(0, clocks)
        except BaseException:
            clocks[-1] = 1
            raise
        finally:
            for other in others:
                other.result()

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()


def thread_counts(units: int, block: int, cores: int) -> list[int]:
    """Returns the numbers of threads worth trying: each has the same number of whole blocks.

    What is left over of a block is not computed in vectors, which round differently, and a text
    must not depend on the number of threads.

    Args:
        units: that are shared.
        block: so many at least, of which a multiple is computed in vectors alone.
        cores: the largest number.
    """
    counts = [1]
    while 2 * counts[-1] <= cores and units % (2 * counts[-1] * block) == 0:
        counts.append(2 * counts[-1])
    return counts


def barrier_arguments(part: int, clocks: Arrivals) -> tuple[Any, ...]:
    """Returns what compiled code takes first: rank, arrivals, address of ``sched_yield``."""
    return part, clocks, yield_address()


@lru_cache(maxsize=1)
def yield_address() -> int:
    """Returns the address of the C library's ``sched_yield``; 0 where it has none."""
    try:
        return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0
    except (OSError, AttributeError, TypeError):
        return 0
