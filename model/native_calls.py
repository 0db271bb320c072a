"""What compiled code asks of the machine: other libraries' functions, and other threads. Numba.

Functions are called by their address, so that what was compiled can be kept on the disk. Threads
that run compiled code and share arrays meet by counters in memory; plain reads of them would be
hoisted out of a loop that waits.
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
from model.pair_product import multiply_pairs
from model.team import CLOCK_WIDTH

Array = npt.NDArray[Any]

_PATIENCE: Final = 2_000
"""Looks at another thread's clock before this one lets others have the core."""

_INTEGER, _TRUTH = ir.IntType(64), ir.IntType(8)
_POINTER = ir.IntType(8).as_pointer()
_BYTES = 8
_BITS, _PAIR, _NUMBER = 2, 4, 4
"""Bytes of a bfloat16, of two of them and of a float32."""
_ROWS_OF_A_BLOCK: Final = 32
"""A Xeon with AMX multiplies 32 rows in the time of 16, and 64 in three times that of 32."""


@lru_cache(maxsize=1)
def yield_address() -> int:
    """Returns the address of the C library's ``sched_yield``; 0 where it has none."""
    try:
        return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0
    except (OSError, AttributeError, TypeError):
        return 0


def _call(builder: Any, address: Any, returns: Any, takes: list[Any], values: list[Any]) -> None:
    """Has compiled code call a C or C++ function; what it returns is let go."""
    function = ir.FunctionType(returns, takes).as_pointer()
    builder.call(builder.inttoptr(address, function), values)


def _multiply(_: Any, address: Any, m: Any, n: Any, k: Any, left: Any, right: Any, out: Any) -> Any:  # noqa: ARG001, PLR0917
    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        address, m, n, k, *matrices = arguments
        no, yes = ir.Constant(_TRUTH, 0), ir.Constant(_TRUTH, 1)
        pointers = [builder.inttoptr(matrix, _POINTER) for matrix in matrices]
        # Rows are as long as they are wide; it adds to nothing; the right matrix is packed.
        takes = [*[_INTEGER] * 6, _TRUTH, *[_POINTER] * 3, _TRUTH]
        _call(builder, address, ir.VoidType(), takes, [m, n, k, k, n, n, no, *pointers, yes])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 7), generate


def _release(_: Any, address: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        there_is = builder.icmp_unsigned("!=", arguments[0], ir.Constant(_INTEGER, 0))
        with builder.if_then(there_is):
            _call(builder, arguments[0], ir.VoidType(), [_TRUTH], [ir.Constant(_TRUTH, 1)])
        return context.get_dummy_value()

    return types.void(types.int64), generate


def _give_way(_: Any, address: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        there_is = builder.icmp_unsigned("!=", arguments[0], ir.Constant(_INTEGER, 0))
        with builder.if_then(there_is):
            _call(builder, arguments[0], ir.IntType(32), [], [])
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


multiply: Callable[..., None] = intrinsic(_multiply)
"""``multiply(address, m, n, k, left, right, out)``: puts ``left`` [m, k] times ``right`` [k, n],
packed, into float32 ``out`` [m, n]. The first address is that of the product in
``model.block_product``, the others are those of numbers that lie row by row."""

release: Callable[..., None] = intrinsic(_release)
"""``release(address)``, after the last product: lets go of the matrix unit, for others set it up in
their own way. The address is the second in ``model.block_product``."""

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


@compiled
def multiply_in_blocks(  # noqa: PLR0917 - compiled code takes them by position
    address: int, m: int, n: int, k: int, left: int, right: int, wide: int, out: int
) -> None:
    """Does what `multiply` does, some rows at a time: the most that the unit is quickest with.

    Where there is no unit (address 0) it is `model.pair_product`, and rows of the right matrix are
    ``wide`` columns long.
    """
    if address == 0:
        multiply_pairs(m, n, k // 2, left, k * _BITS, _PAIR, right, wide, out)
        return
    for first in range(0, m, _ROWS_OF_A_BLOCK):
        rows = min(_ROWS_OF_A_BLOCK, m - first)
        start, end = left + first * k * _BITS, out + first * n * _NUMBER
        multiply(address, rows, n, k, start, right, end)
