"""Threads that run one function together, as ranks. NumPy.

They may meet at the barriers of compiled code (``model.kernels.threads``), for which they share
counters of their arrivals.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

Result = TypeVar("Result")

ARRIVALS_WIDTH: Final = 8
"""Numbers in a row of the counters: one cache line, so that ranks do not share lines."""

Arrivals = npt.NDArray[np.int64]
"""int64 [size + 1, ARRIVALS_WIDTH]; see ``model.kernels.threads``. The last row is not 0 after a
failure, and then no rank waits any more."""


class Team:
    """A pool of threads; the calling thread is rank 0."""

    def __init__(self, max_size: int, prepare: Callable[[], None] | None = None) -> None:
        """Starts no thread yet.

        Args:
            max_size: the most ranks of a run.
            prepare: each new thread calls it first.
        """
        self._pool = ThreadPoolExecutor(max(1, max_size - 1), "team", initializer=prepare)

    def run(self, size: int, work: Callable[[int, Arrivals], Result]) -> list[Result]:
        """Runs ranks 0 to ``size - 1`` at the same time, and returns when all are done.

        Args:
            size: at least 1.
            work: takes a rank and the arrivals, and does the rank's share of the work.

        Returns:
            The results of the ranks, in their order.
        """
        arrivals = np.zeros((size + 1, ARRIVALS_WIDTH), np.int64)

        def of_other(rank: int) -> Result:
            try:
                return work(rank, arrivals)
            except BaseException:
                arrivals[-1] = 1
                raise

        others: list[Future[Result]] = []
        try:
            for rank in range(1, size):
                others.append(self._pool.submit(of_other, rank))  # noqa: PERF401 - one may not start
            return [work(0, arrivals), *(other.result() for other in others)]
        except BaseException:
            arrivals[-1] = 1
            raise
        finally:
            wait(others)  # they may still use what the caller frees

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
