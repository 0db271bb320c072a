"""The micro-kernel of matrix products: a few rows times a few columns in vector registers. LLVM.

BLAS libraries copy a matrix into an order of their own for every product. For few rows or columns
the copy takes longer than the product. Here a block of rows times some vectors of columns stays in
registers from the first to the last inner index (Goto & van de Geijn 2008). For each inner index a
block of R rows and C vectors costs R + C loads and does R * C vector multiplications.

A float32 and a pair of bfloat16 are both one word of four bytes. The two products of a pair are
added to one float32 sum.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types

from model.kernels.cpu import HAS_BFLOAT16, LANES, REGISTERS
from model.kernels.dtypes import WORD_BYTES, BFloat
from model.kernels.ir import (
    FLOAT,
    WORD,
    broadcast,
    counted_loop,
    generate_multiply_add,
    generated,
    integer,
    moved,
    pointer,
    unpack_bfloat16,
)
from model.kernels.packing import PANEL

VECTORS_PER_PANEL: Final = PANEL // LANES
ROWS_PER_BLOCK: Final = 12 if REGISTERS == 32 else 6
"""Most rows of a block of one panel: 24 of 32 registers or 12 of 16 are sums; the others hold
operands. BLIS has the same shapes, 12x32 for AVX-512 and 6x16 for AVX2 (Van Zee & van de Geijn
2015)."""
_MOST_PANELS: Final = 4
"""A row of four panels has eight sums, enough to start two multiplications a cycle while others are
under way."""
_ROWS_PER_BASE: Final = 3
"""Rows whose addresses are a base and 0, 1 or 2 distances: one x86 instruction adds those. So
twelve rows need five registers for their addresses, not thirteen of sixteen."""

MultiplyAdd = Callable[[Any, Any, Any], Any]
"""Takes sums, left numbers and right numbers; returns sums with the products added."""


def panels_per_block(rows: int) -> int:
    """Returns the panels of a block: as many as registers hold, for few rows more than one.

    Of C vectors and R rows R * C registers are sums, C are columns, and one is a left number.
    """
    return max(1, min(_MOST_PANELS, (REGISTERS - 1) // (VECTORS_PER_PANEL * (rows + 1))))


def register_block(dtype: Any, rows: int, panels: int) -> Callable[..., None]:
    """Returns the function that multiplies a block: ``out [M, N] = left [M, K] right [K, N]``.

    It is for compiled code, and takes eight integers. Distances are in bytes:

    - left, left_row: address of the left numbers, and the distance from one row to the next;
    - words: words of a row, at least 1; K for float32, K / 2 for bfloat16;
    - right, panel: address of the panels, words [panels, K, PANEL], and the distance from one panel
      to the next;
    - out, out_row: address of the float32 sums, and the distance from one row to the next;
    - adds: whether to add to the sums in ``out``; otherwise they are overwritten.

    A sum has the same bits in a block of any shape.

    Args:
        dtype: Numba's of the left and right numbers, float32 or uint16 for bfloat16.
        rows: M.
        panels: N / PANEL.
    """
    return generated(partial(generate_block, dtype, rows, panels))


def generate_block(
    dtype: Any, rows: int, panels: int, builder: Any, left: Any, left_row: Any, words: Any,
    right: Any, panel: Any, out: Any, out_row: Any, adds: Any,
) -> None:  # fmt: skip
    """Generates the code of a block: one loop over the words of a row."""
    sums_kind = ir.VectorType(FLOAT, LANES)
    number_kind = FLOAT if dtype == types.float32 else WORD
    columns_kind = ir.VectorType(number_kind, LANES)
    multiply_add = _multiply_add(builder, dtype)
    line, width = integer(LANES * WORD_BYTES), panels * VECTORS_PER_PANEL

    def load(place: Any) -> Any:
        return builder.load(place, align=WORD_BYTES)  # no vector has to be aligned

    def place_of_sums(row: int, vector: int) -> Any:
        return pointer(
            builder, moved(builder, moved(builder, out, out_row, row), line, vector), sums_kind
        )

    places = [place_of_sums(row, vector) for row in range(rows) for vector in range(width)]
    zero = ir.Constant(sums_kind, [0.0] * LANES)
    is_sum = builder.icmp_signed("!=", adds, integer(0))
    starts = [builder.select(is_sum, load(place), zero) for place in places]
    bases = [moved(builder, left, left_row, row) for row in range(0, rows, _ROWS_PER_BASE)]
    distances = [integer(0), left_row, builder.shl(left_row, integer(1))]

    def one_word(*carried: Any) -> list[Any]:
        bases_at, (right_at, *sums) = carried[: len(bases)], carried[len(bases) :]
        columns = []
        for vector in range(width):
            number, place = divmod(vector, VECTORS_PER_PANEL)
            start = moved(builder, moved(builder, right_at, panel, number), line, place)
            columns.append(load(pointer(builder, start, columns_kind)))
        totals: list[Any] = []
        for row in range(rows):
            base, step = divmod(row, _ROWS_PER_BASE)
            start = builder.add(bases_at[base], distances[step]) if step else bases_at[base]
            every = broadcast(builder, load(pointer(builder, start, number_kind)), columns_kind)
            own = sums[row * width : (row + 1) * width]
            totals += [multiply_add(*both, every) for both in zip(own, columns, strict=True)]
        following = [builder.add(base, integer(WORD_BYTES)) for base in bases_at]
        step = integer(VECTORS_PER_PANEL * LANES * WORD_BYTES)
        return [*following, builder.add(right_at, step), *totals]

    _, *totals = counted_loop(builder, words, [*bases, right, *starts], one_word)[len(bases) :]
    for place, total in zip(places, totals, strict=True):
        builder.store(total, place, align=WORD_BYTES)


def _multiply_add(builder: Any, dtype: Any) -> MultiplyAdd:
    """Returns what adds products to sums, and declares the LLVM function that it calls."""
    kind = ir.VectorType(FLOAT, LANES)
    if dtype == types.uint16 and HAS_BFLOAT16:
        both = ir.VectorType(BFloat(), 2 * LANES)
        dot = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module,
            ir.FunctionType(kind, [kind, both, both]),
            f"llvm.x86.avx512bf16.dpbf16ps.{LANES * 32}",
        )

        def add_pairs(sums: Any, columns: Any, every: Any) -> Any:
            return builder.call(
                dot, [sums, *(builder.bitcast(one, both) for one in (every, columns))]
            )

        return add_pairs

    def add(sums: Any, columns: Any, every: Any) -> Any:
        return generate_multiply_add(builder, every, columns, sums)

    if dtype == types.float32:
        return add

    def add_halves(sums: Any, columns: Any, every: Any) -> Any:
        left, right = unpack_bfloat16(builder, every), unpack_bfloat16(builder, columns)
        for number, column in zip(left, right, strict=True):
            sums = add(sums, column, number)
        return sums

    return add_halves
