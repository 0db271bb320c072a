"""Threads that each compute with some of the streams of a batch, and meet when all are done.

Threads that share every matrix product meet at every time step, and each of them waits whenever
another process, or the screen, has the core of one. These meet once a piece of work.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from model.compute.torch_threads import prepare_thread

Result = TypeVar("Result")


class BatchThreads:
    """So many threads; what is done by one alone is done by the caller."""

    def __init__(self, count: int = 1, *, threads_of_each: int = 1) -> None:
        """Starts no thread yet.

        Args:
            count: parts that a batch is cut into.
            threads_of_each: threads that share each matrix product of a part.
        """
        self._count = count
        self._pool: ThreadPoolExecutor | None = None
        if count > 1:
            self._pool = ThreadPoolExecutor(
                count,
                thread_name_prefix="streams",
                initializer=prepare_thread,
                initargs=(threads_of_each,),
            )

    def map(self, work: Callable[[slice], Result], streams: int) -> list[Result]:
        """Returns what ``work`` returns for each part of the streams, in their order.

        Args:
            work: is given the streams of a part; called in several threads at once.
            streams: of the batch; none: no work.
        """
        count = min(self._count, streams)
        borders = [streams * part // count for part in range(count + 1)] if count else []
        parts = [slice(*pair) for pair in itertools.pairwise(borders)]
        if self._pool is None or count == 1:
            return [work(part) for part in parts]
        return list(self._pool.map(work, parts))

    def close(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.shutdown()


ONE_THREAD = BatchThreads()
"""The caller's own."""
