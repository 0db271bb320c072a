"""Threads that each compute a part of a batch and synchronise once per piece of work.

Threads that share each matrix product synchronise at every time step. All of them wait when
another process, or the screen, uses the core of one. The threads of this module wait less often.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from model.compute.torch_threads import prepare_thread

Result = TypeVar("Result")


class BatchThreads:
    """A pool of threads; the calling thread computes the first part itself."""

    def __init__(self, count: int = 1, *, threads_of_each: int = 1) -> None:
        """Creates the pool; its threads start with the first work.

        Args:
            count: number of parts that a batch is divided into.
            threads_of_each: number of threads that share each matrix product of a part.
        """
        self._count, self._threads_of_each = count, threads_of_each
        self._pool: ThreadPoolExecutor | None = None
        if count > 1:
            self._pool = ThreadPoolExecutor(
                count - 1,
                thread_name_prefix="streams",
                initializer=prepare_thread,
                initargs=(threads_of_each,),
            )

    def map(self, work: Callable[[slice], Result], streams: int) -> list[Result]:
        """Returns the result of ``work`` for each part of the batch, in the order of the parts.

        Args:
            work: receives the range of streams of one part; called in several threads at once.
            streams: number of streams in the batch; with 0, ``work`` is not called.
        """
        count = min(self._count, streams)
        borders = [streams * part // count for part in range(count + 1)] if count else []
        parts = [slice(*pair) for pair in itertools.pairwise(borders)]
        if self._pool is None:
            return [work(part) for part in parts]
        others = [self._pool.submit(work, part) for part in parts[1:]]
        before = torch.get_num_threads()
        prepare_thread(self._threads_of_each)
        try:
            return [*(work(part) for part in parts[:1]), *(other.result() for other in others)]
        finally:
            torch.set_num_threads(before)
            wait(others)  # if a part has failed, the others may still use what its caller frees

    def close(self) -> None:
        """Ends the threads of the pool."""
        if self._pool is not None:
            self._pool.shutdown()


ONE_THREAD = BatchThreads()
"""Computes everything in the calling thread."""
