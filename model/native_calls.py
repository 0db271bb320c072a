"""How threads that run compiled code meet, and let others have their core. Numba.

They share arrays, and meet by counters in memory; plain reads of them would be hoisted out of a
loop that waits. The C library's function is called by its address, so that what was compiled can be
kept on the disk.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from model.compiled import compiled
from model.team import CLOCK_WIDTH

Array = npt.NDArray[Any]

_PATIENCE: Final = 2_000
"""Looks at another thread's clock before this one lets others have the core."""

_INTEGER = ir.IntType(64)
_BYTES = 8


@lru_cache(maxsize=1)
def yield_address() -> int:
    """Returns the address of the C library's ``sched_yield``; 0 where it has none."""
    try:
        return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0
    except (OSError, AttributeError, TypeError):
        return 0


def _give_way(_: Any, address: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        there_is = builder.icmp_unsigned("!=", arguments[0], ir.Constant(_INTEGER, 0))
        with builder.if_then(there_is):
            function = ir.FunctionType(ir.IntType(32), []).as_pointer()
            builder.call(builder.inttoptr(arguments[0], function), [])
        return context.get_dummy_value()

    return types.void(types.int64), generate


def _told(_: Any, address: Any) -> Any:  # noqa: ARG001
    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], _INTEGER.as_pointer())
        return builder.load_atomic(pointer, "acquire", _BYTES)

    return types.int64(types.int64), generate


def _tell(_: Any, address: Any, number: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], _INTEGER.as_pointer())
        builder.store_atomic(arguments[1], pointer, "release", _BYTES)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


give_way: Callable[..., None] = intrinsic(_give_way)
"""``give_way(address)``: lets other threads have this core for now; see `yield_address`."""

told: Callable[..., int] = intrinsic(_told)
"""``told(address)``: returns an int64 that another thread may have written, and with it lets all be
seen that was written before."""

tell: Callable[..., None] = intrinsic(_tell)
"""``tell(address, number)``: writes an int64 after all that this thread wrote before."""


@compiled
def meet(clocks: Array, part: int, turn: int, pause: int) -> None:
    """Waits until every thread has come to this turn, or one has given up."""
    parts, line = len(clocks) - 1, CLOCK_WIDTH * clocks.itemsize
    start = clocks.ctypes.data
    tell(start + part * line, turn)
    for other in range(parts):
        looks = 0
        while told(start + other * line) < turn:
            looks += 1
            if looks == _PATIENCE:
                if told(start + parts * line) != 0:
                    return
                give_way(pause)
                looks = 0
