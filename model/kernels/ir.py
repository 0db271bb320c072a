"""Building blocks of generated LLVM code: types, addresses, loops, vectors. llvmlite.

Generated code takes addresses as int64, because for an array view Numba computes bounds, counts
references and checks for overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

FLOAT: Final = ir.FloatType()
INTEGER: Final = ir.IntType(64)
WORD: Final = ir.IntType(32)
"""A pair of bfloat16: the number with the lower index is in the lower half."""
SHORT: Final = ir.IntType(16)
BYTE: Final = ir.IntType(8)

_UPPER_HALF: Final = 0xFFFF0000


def address_intrinsic(generate: Callable[..., None]) -> Callable[[tuple[int, ...]], None]:
    """Returns an intrinsic that takes one tuple of integers, and returns nothing.

    Args:
        generate: takes a builder and the integers as int64 values, and generates the code.
    """

    def typed(_: Any, arguments: Any) -> Any:
        def generate_all(context: Any, builder: Any, _: Any, values: Any) -> Any:
            numbers = [
                context.cast(builder, builder.extract_value(values[0], place), kind, types.int64)
                for place, kind in enumerate(arguments)
            ]
            generate(builder, *numbers)
            return context.get_dummy_value()

        return types.void(arguments), generate_all

    generated: Any = intrinsic(typed)
    return generated  # type: ignore[no-any-return]


def integer(value: int) -> Any:
    """Returns an int64 constant."""
    return ir.Constant(INTEGER, value)


def moved(builder: Any, address: Any, distance: Any, times: int) -> Any:
    """Returns ``address + distance * times``; the distance is in bytes."""
    return builder.add(address, builder.mul(distance, integer(times)))


def pointer(builder: Any, address: Any, kind: Any) -> Any:
    """Returns an int64 address as a pointer to values of an LLVM type."""
    return builder.inttoptr(address, kind.as_pointer())


def counted_loop(
    builder: Any,
    count: Any,
    starts: Sequence[Any],
    body: Callable[..., Sequence[Any]],
    *,
    step: int = 1,
) -> Sequence[Any]:
    """Generates a loop with values that are carried from one pass to the next.

    Args:
        builder: generates after the loop when this returns.
        count: int64, at least 1; the loop ends when the passes times ``step`` reach it.
        starts: values that the first pass takes.
        body: takes the carried values, generates one pass, and returns the next values.
        step: by how much a pass lowers the count.

    Returns:
        The carried values after the last pass.
    """
    before, loop = builder.block, builder.append_basic_block("loop")
    after = builder.append_basic_block("after")
    builder.branch(loop)
    builder.position_at_end(loop)
    phis = [builder.phi(INTEGER), *(builder.phi(start.type) for start in starts)]
    nexts = body(*phis[1:])
    remaining = builder.sub(phis[0], integer(step))
    end = builder.block  # not `loop` if the body holds a loop
    for phi, start, following in zip(phis, (count, *starts), (remaining, *nexts), strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(following, end)
    builder.cbranch(builder.icmp_signed(">", remaining, integer(0)), loop, after)
    builder.position_at_end(after)
    return nexts


def broadcast(builder: Any, number: Any, kind: Any) -> Any:
    """Returns a vector of type ``kind`` with the number in every lane."""
    undefined = ir.Constant(kind, ir.Undefined)
    first_lane = ir.Constant(ir.VectorType(WORD, kind.count), [0] * kind.count)
    one = builder.insert_element(undefined, number, ir.Constant(WORD, 0))
    return builder.shuffle_vector(one, undefined, first_lane)


def unpack_bfloat16(builder: Any, pairs: Any) -> list[Any]:
    """Returns a vector of pairs as two vectors of float32: the lower halves, the upper halves.

    A bfloat16 is the upper half of the float32 with the same value.
    """
    kind = ir.VectorType(FLOAT, pairs.type.count)
    bits, mask = (ir.Constant(pairs.type, [word] * kind.count) for word in (16, _UPPER_HALF))
    halves = builder.shl(pairs, bits), builder.and_(pairs, mask)
    return [builder.bitcast(half, kind) for half in halves]
