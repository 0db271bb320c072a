"""Threads that run one compiled function together, and their barrier. Numba, LLVM.

The threads share arrays and count their arrivals in memory. The counters are read with acquire
ordering, because the compiler would hoist plain reads out of the waiting loop. ``sched_yield`` is
called by its address, which keeps the compiled code independent of the process and so cacheable.
``arrivals`` are int64 [size + 1, a cache line]: column 0 counts the barriers that each rank has
reached, column 1 the pieces of its work that are claimed. The last row is not 0 after a failure.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from model.kernels.dtypes import Array
from model.kernels.ir import INTEGER, WORD, View, generated, integer, pointer
from model.kernels.jit import inline, inline_too

_SPINS_BEFORE_YIELD: Final = 2_000
"""Reads of another thread's counter before this one yields the core."""


def barrier_arguments(rank: int, arrivals: Array) -> tuple[Any, ...]:
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


def _generate_claim(builder: Any, arrivals: View, rank: Any) -> Any:
    count = arrivals.at(rank, integer(1)).pointer(INTEGER)
    return builder.atomic_rmw("add", count, integer(1), "monotonic")


claim = generated(_generate_claim, types.int64)
"""``claim(arrivals, rank)``: returns how many pieces of the rank's work were claimed before; the
calling thread has claimed the next one."""


@inline
def wait_for(arrivals: Array, rank: int, phase: int, sched_yield: int) -> bool:
    """Waits until a rank has reached a phase; returns False if one has failed meanwhile.

    Args:
        arrivals: see above.
        rank: of the thread to wait for.
        phase: number of the barriers that it must have reached in this run.
        sched_yield: address of the function, 0 for none.
    """
    spins = 0
    while load_acquire(arrivals, rank) < phase:
        spins += 1
        if spins == _SPINS_BEFORE_YIELD:
            if load_acquire(arrivals, len(arrivals) - 1) != 0:
                return False
            yield_thread(sched_yield)
            spins = 0
    return True


@inline
def barrier(arrivals: Array, rank: int, phase: int, sched_yield: int) -> int:
    """Waits until every thread has reached the next phase, or one has failed; returns it.

    Args:
        arrivals: see above.
        rank: of the calling thread, from 0.
        phase: number of the barriers that the thread has reached in this run.
        sched_yield: address of the function, 0 for none.
    """
    size, phase = len(arrivals) - 1, phase + 1
    # Each rank writes only its own counter, so that no two threads write to one cache line.
    store_release(arrivals, rank, phase)
    for other in range(size):
        if not wait_for(arrivals, other, phase, sched_yield):
            break
    return phase


@inline_too
def rank_range(count: int, rank: int, size: int) -> tuple[int, int]:
    """Returns the first of a rank's items and their end, of ``count`` items of ``size`` ranks."""
    return count * rank // size, count * (rank + 1) // size
