"""Threads that run one compiled function together, each for its rank. NumPy."""

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
"""int64 [size + 1, ARRIVALS_WIDTH]: column 0 counts the barriers that each rank has reached. The
last row is not 0 after a failure, and then no rank waits any more."""

RankWork = Callable[[int, Arrivals], object]
"""Takes a rank and the arrivals, and does the rank's share of the work."""


class Team:
    """A pool of threads; the calling thread is rank 0."""

    def __init__(self, max_size: int, prepare: Callable[[], None] | None = None) -> None:
        """Starts no thread yet.

        Args:
            max_size: the most ranks of a run.
            prepare: each new thread calls it first.
        """
        self._pool = ThreadPoolExecutor(max(1, max_size - 1), "team", initializer=prepare)

    def run(self, size: int, work: RankWork) -> None:
        """Runs ranks 0 to ``size - 1`` at the same time; returns when all are done."""
        arrivals = np.zeros((size + 1, ARRIVALS_WIDTH), np.int64)
        others = [self._pool.submit(work, rank, arrivals) for rank in range(1, size)]
        try:
            work(0, arrivals)
        except BaseException:
            arrivals[-1] = 1
            raise
        finally:
            for other in others:
                other.result()

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()


def thread_counts(units: int, least: int, cores: int) -> list[int]:
    """Returns the thread counts worth trying: powers of two.

    Args:
        units: to be shared.
        least: units of a thread, at least.
        cores: the largest count.
    """
    counts = [1]
    while 2 * counts[-1] <= cores and units >= 2 * counts[-1] * least:
        counts.append(2 * counts[-1])
    return counts


def barrier_arguments(rank: int, arrivals: Arrivals) -> tuple[Any, ...]:
    """Returns the first arguments of compiled code: rank, arrivals, address of ``sched_yield``."""
    return rank, arrivals, yield_address()


@lru_cache(maxsize=1)
def yield_address() -> int:
    """Returns the address of the C library's ``sched_yield``; 0 if it has none."""
    try:
        return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0
    except (OSError, AttributeError, TypeError):
        return 0
