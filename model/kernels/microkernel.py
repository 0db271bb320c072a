"""A few rows times a few columns, summed up in the processor's vector registers. Numba, LLVM.

BLAS libraries copy a matrix into an order of their own for every product; for few rows or columns
that takes longer than the product. Here a block of rows times some vectors of columns stays in
registers from the first to the last inner index (Goto & van de Geijn 2008): one load of columns and
one of a number for each row do the work of as many multiplications as there are rows and columns in
the block. Numbers are float32, or pairs of bfloat16 whose two products are added to one sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from model.kernels.cpu import LANES
from model.kernels.dtypes import WORD_BYTES, BFloat, Numbers

_FLOAT, _INTEGER, _BITS = ir.FloatType(), ir.IntType(64), ir.IntType(32)
Multiply = Callable[[Any, Any, Any, Any], Any]
"""Takes a builder, sums, numbers and columns; returns the sums with the products added."""


def tile(
    numbers: Numbers,
    *,
    rows: int,
    vectors: int,
    adds: bool,
    lanes: int = LANES,
) -> Callable[..., None]:
    """Returns the intrinsic that multiplies so many rows with so many vectors of columns.

    It takes eight integers: where the rows' numbers begin, bytes from one row to the next and from
    one inner index to the next; the number of inner indices, at least 1; where the columns begin
    and bytes to the next inner index; where the sums are and bytes from one row of them to the
    next.

    Args:
        numbers: what rows and columns are made of.
        rows: of the block.
        vectors: of columns.
        adds: whether to add to the sums that are there; else they are written over.
        lanes: numbers of a vector; pairs take 16, or 1 for what no vector fills.
    """
    kind = ir.VectorType(_FLOAT, lanes)
    read = _FLOAT if numbers == "float32" else _BITS
    columns_kind = ir.VectorType(read, lanes)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        left, left_row, left_step, inner, right, right_step, out, out_row = arguments
        multiply = _multiply_add(builder, numbers, lanes)

        def at(address: Any, kind: Any) -> Any:
            return builder.inttoptr(address, kind.as_pointer())

        def later(address: Any, bytes_on: int) -> Any:
            return builder.add(address, ir.Constant(_INTEGER, bytes_on))

        def times(distance: Any, row: int) -> Any:
            return builder.mul(distance, ir.Constant(_INTEGER, row))

        places = [
            later(builder.add(out, times(out_row, row)), vector * lanes * WORD_BYTES)
            for row in range(rows)
            for vector in range(vectors)
        ]
        begun = [ir.Constant(kind, [0.0] * lanes)] * len(places)
        if adds:
            begun = [builder.load(at(place, kind), align=WORD_BYTES) for place in places]
        rows_on = [times(left_row, row) for row in range(rows)]
        before, loop = builder.block, builder.append_basic_block("inner")
        after = builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        remaining, number_at, column_at = (builder.phi(_INTEGER) for _ in range(3))
        sums = [builder.phi(kind) for _ in places]
        given = [
            builder.load(
                at(later(column_at, vector * lanes * WORD_BYTES), columns_kind), align=WORD_BYTES
            )
            for vector in range(vectors)
        ]
        added = []
        for row in range(rows):
            number = builder.load(at(builder.add(number_at, rows_on[row]), read), align=WORD_BYTES)
            every = in_all_lanes(builder, number, columns_kind)
            added += [
                multiply(builder, sums[row * vectors + index], every, vector)
                for index, vector in enumerate(given)
            ]
        fewer = builder.sub(remaining, ir.Constant(_INTEGER, 1))
        nexts = (fewer, builder.add(number_at, left_step), builder.add(column_at, right_step))
        for phi, start, follows in zip(
            (remaining, number_at, column_at, *sums),
            (inner, left, right, *begun),
            (*nexts, *added),
            strict=True,
        ):
            phi.add_incoming(start, before)
            phi.add_incoming(follows, loop)
        goes_on = builder.icmp_signed(">", fewer, ir.Constant(_INTEGER, 0))
        builder.cbranch(goes_on, loop, after)
        builder.position_at_end(after)
        for place, total in zip(places, added, strict=True):
            builder.store(total, at(place, kind), align=WORD_BYTES)
        return context.get_dummy_value()

    def typed(  # noqa: PLR0917
        _: Any,
        left: Any,  # noqa: ARG001
        left_row: Any,  # noqa: ARG001
        left_step: Any,  # noqa: ARG001
        inner: Any,  # noqa: ARG001
        right: Any,  # noqa: ARG001
        right_step: Any,  # noqa: ARG001
        out: Any,  # noqa: ARG001
        out_row: Any,  # noqa: ARG001
    ) -> Any:
        return types.void(*[types.int64] * 8), generate

    return intrinsic(typed)


def in_all_lanes(builder: Any, number: Any, kind: Any) -> Any:
    """Returns a vector of that kind that has the number in every place."""
    undefined = ir.Constant(kind, ir.Undefined)
    first = ir.Constant(ir.VectorType(_BITS, kind.count), [0] * kind.count)
    one = builder.insert_element(undefined, number, ir.Constant(_BITS, 0))
    return builder.shuffle_vector(one, undefined, first)


def halves(builder: Any, pairs: Any) -> list[Any]:
    """Returns the lower bfloat16 of each pair of a vector as float32, and the upper ones."""
    kind = ir.VectorType(_FLOAT, pairs.type.count)
    places, upper = (ir.Constant(pairs.type, [bits] * kind.count) for bits in (16, 0xFFFF0000))
    taken = builder.shl(pairs, places), builder.and_(pairs, upper)
    return [builder.bitcast(half, kind) for half in taken]


def _multiply_add(builder: Any, numbers: Numbers, lanes: int) -> Multiply:
    """Returns what adds products to sums, and declares the function it needs."""
    kind = ir.VectorType(_FLOAT, lanes)

    def function(name: str, *takes: Any) -> Any:
        return cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, ir.FunctionType(kind, takes), name
        )

    if numbers == "pairs" and lanes > 1:
        both = ir.VectorType(BFloat(), 2 * lanes)
        product = function(f"llvm.x86.avx512bf16.dpbf16ps.{lanes * 32}", kind, both, both)

        def add_pairs(builder: Any, sums: Any, every: Any, columns: Any) -> Any:
            pairs = (builder.bitcast(one, both) for one in (every, columns))
            return builder.call(product, [sums, *pairs])

        return add_pairs

    product = function(f"llvm.fmuladd.v{lanes}f32", kind, kind, kind)

    def add(builder: Any, sums: Any, every: Any, columns: Any) -> Any:
        return builder.call(product, [every, columns, sums])

    if numbers == "float32":
        return add

    def add_halves(builder: Any, sums: Any, every: Any, columns: Any) -> Any:
        for number, column in zip(halves(builder, every), halves(builder, columns), strict=True):
            sums = add(builder, sums, number, column)
        return sums

    return add_halves
