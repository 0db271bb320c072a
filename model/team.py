"""Threads that run a piece of compiled code together, each its part of it. NumPy."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.cores import usable_cores

CLOCK_WIDTH: Final = 8
"""Numbers of a row of the clocks: a line of the cache, so that nobody waits for a neighbour's."""

Clocks = npt.NDArray[np.int64]
"""[parts + 1, CLOCK_WIDTH]: how often each part has met the others; the last one is not 0 once
somebody has given up, and nobody is waited for any more."""

Part = Callable[[int, Clocks], object]
"""Does a part, given its number; it meets the others by the clocks."""


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
        clocks = np.zeros((parts + 1, CLOCK_WIDTH), np.int64)
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


def possible_counts(units: int, block: int, cores: int | None = None) -> list[int]:
    """Returns the numbers of threads worth trying: each has the same number of whole blocks.

    What is left over of a block is not computed in vectors, which round differently, and a text
    must not depend on the number of threads.

    Args:
        units: that are shared.
        block: so many at least, of which a multiple is computed in vectors alone.
        cores: the largest number; None: the cores that this process may use.
    """
    most, counts = cores or usable_cores(), [1]
    while 2 * counts[-1] <= most and units % (2 * counts[-1] * block) == 0:
        counts.append(2 * counts[-1])
    return counts


def meeting_arguments(part: int, clocks: Clocks) -> tuple[Any, ...]:
    """Returns what compiled code takes first: its part, the clocks, how to let others run."""
    from model.native_calls import yield_address  # noqa: PLC0415 - Numba, half a second

    return part, clocks, yield_address()
