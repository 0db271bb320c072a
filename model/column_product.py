"""A matrix times a few columns in float32: see ``model.register_block``. NumPy, Numba."""

from __future__ import annotations

from typing import Final

import numpy as np

from model.compiled import compiled
from model.processor import LANES
from model.register_block import NUMBER, register_block
from model.snapshot import FloatArray

_CHUNK: Final = 256
"""Inner indices whose columns stay in the fastest cache while all rows pass over them."""

ROWS = 12 if LANES == 16 else 6
"""Packed rows come in multiples of so many, whose sums for two vectors fill the registers; columns
in multiples of `LANES`."""


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


_one_vector = register_block("float32", rows=ROWS, vectors=1, adds=True)
_two_vectors = register_block("float32", rows=ROWS, vectors=2, adds=True)


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
    stride, line = width * NUMBER, ROWS * NUMBER
    for start in range(0, width, 2 * LANES):
        for begin in range(0, inner, _CHUNK):
            size = min(_CHUNK, inner - begin)
            read = columns + begin * stride + start * NUMBER
            for row in range(0, rows, ROWS):
                packed = weights + (row * inner + begin * ROWS) * NUMBER
                sums = out + row * stride + start * NUMBER
                if width - start > LANES:
                    _two_vectors(packed, NUMBER, line, size, read, stride, sums, stride)
                else:
                    _one_vector(packed, NUMBER, line, size, read, stride, sums, stride)
