"""Threads that run one compiled function together, and their barrier. Numba, LLVM.

The threads share arrays and count their arrivals in memory. The counters are read with acquire
ordering, because the compiler would hoist plain reads out of the waiting loop. ``sched_yield`` is
called by its address, which keeps the compiled code independent of the process and so cacheable.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from model.kernels.dtypes import Array
from model.kernels.ir import INTEGER, WORD, View, generated, integer, pointer
from model.kernels.jit import inline, inline_too

ARRIVALS_WIDTH: Final = 8
"""Numbers in a row of the counters: one cache line, so that ranks do not share lines."""

Arrivals = npt.NDArray[np.int64]
"""int64 [size + 1, ARRIVALS_WIDTH]: column 0 counts the barriers that each rank has reached. The
last row is not 0 after a failure, and then no rank waits any more."""

_SPINS_BEFORE_YIELD: Final = 2_000
"""Reads of another thread's counter before this one yields the core."""

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


def _generate_yield(builder: Any, address: Any) -> None:
    has_function = builder.icmp_unsigned("!=", address, integer(0))
    with builder.if_then(has_function):
        builder.call(pointer(builder, address, ir.FunctionType(WORD, [])), [])


def _generate_load(builder: Any, arrivals: View, rank: Any) -> Any:
    counter = arrivals.at(rank)
    return builder.load_atomic(counter.pointer(INTEGER), "acquire", counter.itemsize)


def _generate_store(builder: Any, arrivals: View, rank: Any, number: Any) -> None:
    counter = arrivals.at(rank)
    builder.store_atomic(number, counter.pointer(INTEGER), "release", counter.itemsize)


yield_thread = generated(_generate_yield)
"""``yield_thread(address)``: calls ``sched_yield`` at that address; see `yield_address`."""

load_acquire = generated(_generate_load, types.int64)
"""``load_acquire(arrivals, rank)``: loads a rank's counter with acquire ordering. Writes made
before the matching `store_release` are visible."""

store_release = generated(_generate_store)
"""``store_release(arrivals, rank, number)``: stores a rank's counter with release ordering."""


@inline
def barrier(arrivals: Array, rank: int, phase: int, sched_yield: int) -> int:
    """Waits until every thread has reached the next phase, or one has failed; returns it.

    Args:
        arrivals: int64 [size + 1, ARRIVALS_WIDTH]; the last row is not 0 after a failure.
        rank: of the calling thread, from 0.
        phase: number of the barriers that the thread has reached in this run.
        sched_yield: address of the function, 0 for none.
    """
    size, phase = len(arrivals) - 1, phase + 1
    # Each rank writes only its own counter, so that no two threads write to one cache line.
    store_release(arrivals, rank, phase)
    for other in range(size):
        spins = 0
        while load_acquire(arrivals, other) < phase:
            spins += 1
            if spins == _SPINS_BEFORE_YIELD:
                if load_acquire(arrivals, size) != 0:
                    return phase
                yield_thread(sched_yield)
                spins = 0
    return phase


@inline_too
def rank_range(count: int, rank: int, size: int) -> tuple[int, int]:
    """Returns the first of a rank's items and their end, of ``count`` items of ``size`` ranks."""
    return count * rank // size, count * (rank + 1) // size
