"""A matrix times a few columns in float32, in the processor's vector registers. Numba.

BLAS libraries copy a matrix into an order of their own for every product; for a few columns that
takes longer than the product. Here it is packed once, and a block of its rows times some columns
stays in registers from the first to the last inner index (Goto & van de Geijn 2008): one load of
columns and one of a weight for each row do the work of as many multiplications as there are rows
and columns in the block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from model.compiled import compiled
from model.snapshot import FloatArray

_NUMBER: Final = 4
"""Bytes of a float32."""
_CHUNK: Final = 256
"""Inner indices whose columns stay in the fastest cache while all rows pass over them."""

_FLOAT, _INTEGER, _INDEX = ir.FloatType(), ir.IntType(64), ir.IntType(32)


def _shape_of_a_block() -> tuple[int, int]:
    """Returns numbers of a vector, and rows whose sums for two vectors fill the registers."""
    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:
        features = {}
    return (16, 12) if features.get("avx512f") else (8, 6)


LANES, ROWS = _shape_of_a_block()
"""Columns come in multiples of the first, packed rows in multiples of the second."""
_VECTOR = ir.VectorType(_FLOAT, LANES)


def pack_rows(matrix: FloatArray) -> FloatArray:
    """Returns a matrix [N, K] as `multiply_columns` reads it, [ceil(N / ROWS), K, ROWS], flat.

    Rows of zeros fill up the last block.
    """
    rows, inner = matrix.shape
    whole = np.zeros((-(-rows // ROWS), ROWS, inner), np.float32)
    whole.reshape(-1, inner)[:rows] = matrix
    return np.ascontiguousarray(whole.transpose(0, 2, 1)).reshape(-1)


def padded(columns: int) -> int:
    """Returns the least number of columns, so many or more, that the product takes."""
    return -(-columns // LANES) * LANES


def _block_product(vectors: int) -> Callable[..., None]:
    """Returns the intrinsic that adds a block of rows times so many vectors of columns."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        weights, inner, columns, out, stride = arguments
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        name = f"llvm.fmuladd.v{LANES}f32"
        multiply_add = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, kind, name
        )
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        first = ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES)

        def at(address: Any, kind: Any) -> Any:
            return builder.inttoptr(address, kind.as_pointer())

        def later(address: Any, bytes_on: int) -> Any:
            return builder.add(address, ir.Constant(_INTEGER, bytes_on))

        places = [
            later(
                builder.add(out, builder.mul(stride, ir.Constant(_INTEGER, row))),
                vector * LANES * _NUMBER,
            )
            for row in range(ROWS)
            for vector in range(vectors)
        ]
        begun = [builder.load(at(place, _VECTOR), align=_NUMBER) for place in places]
        before, loop = builder.block, builder.append_basic_block("inner")
        after = builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        left, weight, column = (builder.phi(_INTEGER) for _ in range(3))
        sums = [builder.phi(_VECTOR) for _ in places]
        given = [
            builder.load(at(later(column, vector * LANES * _NUMBER), _VECTOR), align=_NUMBER)
            for vector in range(vectors)
        ]
        added = []
        for row in range(ROWS):
            number = builder.load(at(later(weight, row * _NUMBER), _FLOAT), align=_NUMBER)
            one = builder.insert_element(undefined, number, ir.Constant(_INDEX, 0))
            every = builder.shuffle_vector(one, undefined, first)
            added += [
                builder.call(multiply_add, [every, vector, sums[row * vectors + index]])
                for index, vector in enumerate(given)
            ]
        next_left = builder.sub(left, ir.Constant(_INTEGER, 1))
        next_weight, next_column = later(weight, ROWS * _NUMBER), builder.add(column, stride)
        starts, nexts = (inner, weights, columns, *begun), (next_left, next_weight, next_column)
        for phi, start, follows in zip(
            (left, weight, column, *sums), starts, (*nexts, *added), strict=True
        ):
            phi.add_incoming(start, before)
            phi.add_incoming(follows, loop)
        goes_on = builder.icmp_signed(">", next_left, ir.Constant(_INTEGER, 0))
        builder.cbranch(goes_on, loop, after)
        builder.position_at_end(after)
        for place, total in zip(places, added, strict=True):
            builder.store(total, at(place, _VECTOR), align=_NUMBER)
        return context.get_dummy_value()

    def typed(_: Any, weights: Any, inner: Any, columns: Any, out: Any, stride: Any) -> Any:  # noqa: ARG001
        return types.void(*[types.int64] * 5), generate

    return intrinsic(typed)


_one_vector, _two_vectors = _block_product(1), _block_product(2)


@compiled
def multiply_columns(  # noqa: PLR0917 - compiled code takes them by position
    weights: int, rows: int, inner: int, columns: int, width: int, out: int
) -> None:
    """Adds a matrix times columns to what is in ``out``; matrices by address.

    Args:
        weights: of [rows, inner], as `pack_rows` leaves it.
        rows: the last block of `ROWS` is done as a whole.
        inner: at least 1.
        columns: of [inner, width].
        width: a multiple of `LANES`.
        out: of [rows, width], the last block's further rows included.
    """
    stride = width * _NUMBER
    for start in range(0, width, 2 * LANES):
        for begin in range(0, inner, _CHUNK):
            size = min(_CHUNK, inner - begin)
            read = columns + begin * stride + start * _NUMBER
            for row in range(0, rows, ROWS):
                packed = weights + (row * inner + begin * ROWS) * _NUMBER
                sums = out + row * stride + start * _NUMBER
                if width - start > LANES:
                    _two_vectors(packed, size, read, sums, stride)
                else:
                    _one_vector(packed, size, read, sums, stride)
