"""Threads that each compute a part of a batch and synchronise once per piece of work.

Threads that share each matrix product synchronise at every time step. All of them wait when
another process, or the screen, uses the core of one. The threads of this module wait less often.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from model.compute.team import Arrivals, Result, Team
from model.compute.torch_threads import prepare_thread


class BatchThreads:
    """A team of threads for PyTorch; the calling thread computes the first part itself."""

    def __init__(self, count: int = 1, *, threads_of_each: int = 1) -> None:
        """Creates the team; its threads start with the first work.

        Args:
            count: number of parts that a batch is divided into.
            threads_of_each: number of threads that share each matrix product of a part.
        """
        self.count = count
        """Parts that a batch is divided into, at most."""
        self._threads_of_each = threads_of_each
        self._team = Team(count, lambda: prepare_thread(threads_of_each))

    def map(self, work: Callable[[slice], Result], streams: int) -> list[Result]:
        """Returns the result of ``work`` for each part of the batch, in the order of the parts.

        Args:
            work: receives the range of streams of one part; called in several threads at once.
            streams: number of streams in the batch; with 0, ``work`` is not called.
        """
        parts = min(self.count, streams)

        def of_part(part: int, _: Arrivals) -> Result:
            return work(slice(streams * part // parts, streams * (part + 1) // parts))

        return self.run(parts, of_part) if parts else []

    def run(self, parts: int, work: Callable[[int, Arrivals], Result]) -> list[Result]:
        """Returns the results of some parts, at most ``count``, whose threads may meet.

        Args:
            parts: at least 1.
            work: see `Team.run`.
        """
        if self.count == 1:
            return self._team.run(parts, work)
        before = torch.get_num_threads()
        prepare_thread(self._threads_of_each)
        try:
            return self._team.run(parts, work)
        finally:
            torch.set_num_threads(before)

    def close(self) -> None:
        """Ends the threads of the team."""
        self._team.close()


ONE_THREAD = BatchThreads()
"""Computes everything in the calling thread."""
