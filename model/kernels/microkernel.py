"""The micro-kernel of matrix products: a few rows times a few columns in vector registers. LLVM.

BLAS libraries copy a matrix into an order of their own for every product. For few rows or columns
the copy takes longer than the product. Here a tile of rows times some vectors of columns stays in
registers from the first to the last inner index (Goto & van de Geijn 2008). For each inner index a
tile of R rows and C vectors costs R + C loads and does R * C vector multiplications. Numbers are
float32, or pairs of bfloat16 whose two products are added to one float32 sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from model.kernels.cpu import LANES
from model.kernels.dtypes import WORD_BYTES, BFloat, Numbers
from model.kernels.ir import (
    FLOAT,
    WORD,
    broadcast,
    counted_loop,
    integer,
    moved,
    pointer,
    unpack_bfloat16,
)

MultiplyAdd = Callable[[Any, Any, Any, Any], Any]
"""Takes a builder, sums, left numbers and right numbers; returns sums with the products added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _TileShape:
    """What is compiled into a tile; see `tile`."""

    numbers: Numbers
    rows: int
    vectors: int
    lanes: int
    adds: bool


def tile(
    numbers: Numbers, *, rows: int, vectors: int, adds: bool, lanes: int = LANES
) -> Callable[..., None]:
    """Returns the intrinsic that multiplies a tile: ``out [M, N] = left [M, K] right [K, N]``.

    The intrinsic takes eight int64. Distances are in bytes:

    - left, left_row, left_step: address of the left numbers, and the distances from one row and
      from one inner index to the next;
    - inner: K for float32, K / 2 for pairs; at least 1;
    - right, right_step: address of the right numbers, and the distance from one inner index to the
      next; columns are contiguous;
    - out, out_row: address of the float32 sums, and the distance from one row to the next.

    Args:
        numbers: type of the left and right numbers.
        rows: M.
        vectors: N / lanes.
        adds: whether to add to the sums in ``out``; otherwise they are overwritten.
        lanes: float32 of a vector. Pairs need 16, or 1 for a single column.
    """
    shape = _TileShape(numbers=numbers, rows=rows, vectors=vectors, lanes=lanes, adds=adds)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        _generate_tile(builder, arguments, shape)
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


def _generate_tile(builder: Any, arguments: Any, shape: _TileShape) -> None:
    """Generates the code of a tile: one loop over the inner indices."""
    left, left_row, left_step, inner, right, right_step, out, out_row = arguments
    sums_kind = ir.VectorType(FLOAT, shape.lanes)
    number_kind = FLOAT if shape.numbers == "float32" else WORD
    columns_kind = ir.VectorType(number_kind, shape.lanes)
    multiply_add = _multiply_add(builder, shape.numbers, shape.lanes)
    rows, vector_bytes = range(shape.rows), integer(shape.lanes * WORD_BYTES)

    def vectors_at(address: Any, kind: Any) -> list[Any]:
        places = (moved(builder, address, vector_bytes, v) for v in range(shape.vectors))
        return [pointer(builder, place, kind) for place in places]

    def load(place: Any) -> Any:
        return builder.load(place, align=WORD_BYTES)  # no vector has to be aligned

    # Row-major, as the sums below: [rows, vectors].
    places = [p for row in rows for p in vectors_at(moved(builder, out, out_row, row), sums_kind)]
    zero = ir.Constant(sums_kind, [0.0] * shape.lanes)
    starts = [load(place) if shape.adds else zero for place in places]
    # Products that do not change within the loop; LLVM keeps them in registers.
    row_distances = [builder.mul(left_row, integer(row)) for row in rows]

    def one_inner_index(left_at: Any, right_at: Any, *sums: Any) -> list[Any]:
        columns = [load(place) for place in vectors_at(right_at, columns_kind)]
        totals: list[Any] = []
        for row in rows:
            number = load(pointer(builder, builder.add(left_at, row_distances[row]), number_kind))
            every = broadcast(builder, number, columns_kind)
            row_sums = sums[row * shape.vectors : (row + 1) * shape.vectors]
            totals += [
                multiply_add(builder, sum_, every, column)
                for sum_, column in zip(row_sums, columns, strict=True)
            ]
        return [builder.add(left_at, left_step), builder.add(right_at, right_step), *totals]

    _, _, *totals = counted_loop(builder, inner, [left, right, *starts], one_inner_index)
    for place, total in zip(places, totals, strict=True):
        builder.store(total, place, align=WORD_BYTES)


def _multiply_add(builder: Any, numbers: Numbers, lanes: int) -> MultiplyAdd:
    """Returns what adds products to sums, and declares the LLVM function that it calls."""
    kind = ir.VectorType(FLOAT, lanes)

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
        left, right = unpack_bfloat16(builder, every), unpack_bfloat16(builder, columns)
        for number, column in zip(left, right, strict=True):
            sums = add(builder, sums, number, column)
        return sums

    return add_halves
