"""bfloat16 matrices multiplied by a processor that takes them in pairs (AVX512-BF16). Numba.

For processors without a matrix unit. A sum is added up in one order whatever block it falls into,
so no number depends on how many rows or columns are asked for at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from model.compiled import compiled
from model.processor import CAN_PAIR
from model.register_block import NUMBER, register_block
from model.snapshot import FloatArray, WeightSnapshot

LANES: Final = 16
"""Sums of a vector."""
ROWS_OF_A_BLOCK: Final = 8
_VECTORS: Final = 2
"""Of a block: enough sums to begin a product in each half of a cycle while others are under way."""
_VECTORS_OF_A_ROW: Final = 8
"""Of a block of a single row, for the same reason."""
PANEL: Final = 2 * LANES
"""Columns that lie together in a matrix that stays the same: it is then read from the first byte to
the last, which is when memory is fastest."""
SPARE: Final = LANES
"""Columns more than count, so that the rows of a matrix whose width is a power of two do not all
fall onto the same lines of the cache."""


@compiled
def up_to(count: int, multiple: int) -> int:
    """Returns the least multiple that is so many or more."""
    return (count + multiple - 1) // multiple * multiple


def can_pair(snapshot: WeightSnapshot) -> bool:
    """Whether a network was trained in bfloat16, and this processor multiplies pairs of them."""
    return CAN_PAIR and snapshot.precision == "bf16" and snapshot.hidden % 2 == 0


def bfloat16(numbers: FloatArray) -> npt.NDArray[np.uint16]:
    """Returns the bits of the nearest bfloat16 numbers."""
    bits = numbers.astype(np.float32).view(np.uint32)
    odd = (bits >> 16) & np.uint32(1)
    return ((bits + np.uint32(0x7FFF) + odd) >> 16).astype(np.uint16)


def pack_columns(matrix: FloatArray) -> npt.NDArray[np.uint16]:
    """Returns a matrix [N, K] as the right one that ``x @ matrix.T`` takes, [K / 2, N, 2].

    Args:
        matrix: K is even.
    """
    columns, inner = matrix.shape
    return np.ascontiguousarray(bfloat16(matrix).reshape(columns, inner // 2, 2).transpose(1, 0, 2))


def pack_panels(matrix: FloatArray) -> npt.NDArray[np.uint16]:
    """Returns the same as `multiply_panels` takes it, [N / PANEL, K / 2, PANEL, 2].

    Args:
        matrix: K is even, N a multiple of `PANEL`.
    """
    columns, inner = matrix.shape
    parts = bfloat16(matrix).reshape(columns // PANEL, PANEL, inner // 2, 2)
    return np.ascontiguousarray(parts.transpose(0, 2, 1, 3))


def _block(rows: int, vectors: int) -> Callable[..., None]:
    """Returns what puts a block of sums in its place, wherever that is."""
    # Other processors must not be asked to compile the instruction.
    lanes = LANES if CAN_PAIR and vectors else 1
    multiply = register_block("pairs", rows=rows, vectors=max(1, vectors), adds=False, lanes=lanes)

    @compiled
    def put(  # noqa: PLR0917
        row: int,
        column: int,
        n: int,
        pairs: int,
        left: int,
        left_row: int,
        left_step: int,
        right: int,
        wide: int,
        out: int,
    ) -> None:
        line = n * NUMBER
        from_left, from_right = left + row * left_row, right + column * NUMBER
        sums = out + row * line + column * NUMBER
        step = wide * NUMBER
        multiply(from_left, left_row, left_step, pairs, from_right, step, sums, line)

    return put


_wide_block, _narrow_block = _block(ROWS_OF_A_BLOCK, _VECTORS), _block(ROWS_OF_A_BLOCK, 1)
_long_row, _short_row, _number = _block(1, _VECTORS_OF_A_ROW), _block(1, 1), _block(1, 0)


@compiled
def _multiply_rows(  # noqa: PLR0917
    m: int,
    n: int,
    pairs: int,
    left: int,
    left_row: int,
    left_step: int,
    right: int,
    wide: int,
    out: int,
) -> None:
    """Does what `multiply_pairs` does row by row, for too few rows to fill a block."""
    for row in range(m):
        start = 0
        while start < n:
            if n - start >= _VECTORS_OF_A_ROW * LANES:
                _long_row(row, start, n, pairs, left, left_row, left_step, right, wide, out)
                start += _VECTORS_OF_A_ROW * LANES
            else:
                column = min(start, n - LANES)
                _short_row(row, column, n, pairs, left, left_row, left_step, right, wide, out)
                start = column + LANES


@compiled
def multiply_pairs(  # noqa: PLR0917 - compiled code takes them by position
    m: int,
    n: int,
    pairs: int,
    left: int,
    left_row: int,
    left_step: int,
    right: int,
    wide: int,
    out: int,
) -> None:
    """Puts a left [m, 2 pairs] times a right [2 pairs, n] into float32 ``out`` [m, n]; by address.

    Only where `CAN_PAIR`. The last block of a row or column begins early enough to be a whole one,
    and does some sums again.

    Args:
        m: rows.
        n: columns.
        pairs: half of the inner indices.
        left: bfloat16.
        left_row: bytes from one row to the next.
        left_step: bytes from one pair of a row to the next: 4 where rows lie one after the other.
        right: bfloat16 [pairs, wide, 2], of which the first n columns count.
        wide: see `SPARE`.
        out: row by row.
    """
    if n < LANES:
        for row in range(m):
            for column in range(n):
                _number(row, column, n, pairs, left, left_row, left_step, right, wide, out)
        return
    if m < ROWS_OF_A_BLOCK:
        _multiply_rows(m, n, pairs, left, left_row, left_step, right, wide, out)
        return
    start = 0
    while start < n:
        whole = n - start >= _VECTORS * LANES
        column = start if whole else min(start, n - LANES)
        for first in range(0, m, ROWS_OF_A_BLOCK):
            row = min(first, m - ROWS_OF_A_BLOCK)
            if whole:
                _wide_block(row, column, n, pairs, left, left_row, left_step, right, wide, out)
            else:
                _narrow_block(row, column, n, pairs, left, left_row, left_step, right, wide, out)
        start = column + (_VECTORS * LANES if whole else LANES)


@compiled
def multiply_panels(  # noqa: PLR0917
    m: int, n: int, pairs: int, left: int, left_row: int, right: int, out: int
) -> None:
    """Does what `multiply_pairs` does, with a right matrix in panels: see `pack_panels`.

    Args:
        m: rows, at least those of a block.
        n: columns, a multiple of `PANEL`.
        pairs: half of the inner indices.
        left: bfloat16.
        left_row: bytes from one row to the next.
        right: bfloat16, in panels.
        out: row by row.
    """
    for column in range(0, n, PANEL):
        panel, sums = right + column * pairs * NUMBER, out + column * NUMBER
        for first in range(0, m, ROWS_OF_A_BLOCK):
            row = min(first, m - ROWS_OF_A_BLOCK)
            _wide_block(row, 0, n, pairs, left, left_row, NUMBER, panel, PANEL, sums)
