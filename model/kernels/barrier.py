"""A barrier for threads that run compiled code together. Numba, LLVM.

The threads share arrays and count their arrivals in memory. The counters are read with acquire
ordering, because the compiler would hoist plain reads out of the waiting loop. ``sched_yield`` is
called by its address, which keeps the compiled code independent of the process and so cacheable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from model.kernels.dtypes import Array
from model.kernels.ir import INTEGER
from model.kernels.jit import inline
from model.kernels.threads import ARRIVALS_WIDTH

_SPINS_BEFORE_YIELD: Final = 2_000
"""Reads of another thread's counter before this one yields the core."""

_BYTES = 8


def _type_yield_thread(_: Any, address: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        has_function = builder.icmp_unsigned("!=", arguments[0], ir.Constant(INTEGER, 0))
        with builder.if_then(has_function):
            function = ir.FunctionType(ir.IntType(32), []).as_pointer()
            builder.call(builder.inttoptr(arguments[0], function), [])
        return context.get_dummy_value()

    return types.void(types.int64), generate


def _type_load_acquire(_: Any, address: Any) -> Any:  # noqa: ARG001
    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], INTEGER.as_pointer())
        return builder.load_atomic(pointer, "acquire", _BYTES)

    return types.int64(types.int64), generate


def _type_store_release(_: Any, address: Any, number: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], INTEGER.as_pointer())
        builder.store_atomic(arguments[1], pointer, "release", _BYTES)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


yield_thread: Callable[..., None] = intrinsic(_type_yield_thread)
"""``yield_thread(address)``: calls ``sched_yield`` at that address; see `yield_address`."""

load_acquire: Callable[..., int] = intrinsic(_type_load_acquire)
"""``load_acquire(address)``: loads an int64 with acquire ordering. Writes made before the matching
`store_release` are visible."""

store_release: Callable[..., None] = intrinsic(_type_store_release)
"""``store_release(address, number)``: stores an int64 with release ordering."""


@inline
def barrier(arrivals: Array, rank: int, phase: int, sched_yield: int) -> None:
    """Waits until every thread has reached this phase, or one has failed.

    Args:
        arrivals: int64 [size + 1, ARRIVALS_WIDTH]; the last row is not 0 after a failure.
        rank: of the calling thread, from 0.
        phase: counts the barriers of one run, from 1.
        sched_yield: address of the function, 0 for none.
    """
    size, line = len(arrivals) - 1, ARRIVALS_WIDTH * arrivals.itemsize
    start = arrivals.ctypes.data
    # Each rank writes only its own counter, so that no two threads write to one cache line.
    store_release(start + rank * line, phase)
    for other in range(size):
        spins = 0
        while load_acquire(start + other * line) < phase:
            spins += 1
            if spins == _SPINS_BEFORE_YIELD:
                if load_acquire(start + size * line) != 0:
                    return
                yield_thread(sched_yield)
                spins = 0


@inline
def rank_range(count: int, rank: int, size: int) -> tuple[int, int]:
    """Returns the first of a rank's items and their end, of ``count`` items of ``size`` ranks."""
    return count * rank // size, count * (rank + 1) // size
