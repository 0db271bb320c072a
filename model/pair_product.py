"""bfloat16 matrices multiplied by a processor that takes them in pairs (AVX512-BF16). Numba.

For what has no matrix unit: PyTorch's block product (`model.block_product`) is for those that do.
A sum is added up in one order whatever block it falls into, so no number depends on how many rows
or columns are asked for at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from model.compiled import compiled
from model.register_block import CAN_PAIR, NUMBER, register_block

_LANES: Final = 16
_ROWS: Final = 8
_VECTORS: Final = 2
"""Of a block: enough sums to begin a product in each half of a cycle while others are under way."""
SPARE: Final = _LANES
"""Columns more than count, so that the rows of a matrix whose width is a power of two do not all
fall onto the same lines of the cache."""


def _block(rows: int, vectors: int) -> Callable[..., None]:
    """Returns what puts a block of sums in its place, wherever that is."""
    # Other processors must not be asked to compile the instruction.
    lanes = _LANES if CAN_PAIR and vectors else 1
    multiply = register_block("pairs", rows=rows, vectors=max(1, vectors), adds=False, lanes=lanes)

    @compiled
    def put(  # noqa: PLR0917
        row: int, column: int, n: int, k: int, left: int, right: int, wide: int, out: int
    ) -> None:
        line, row_of_out, pairs = k // 2 * NUMBER, n * NUMBER, k // 2
        rows_from, columns_from = left + row * line, right + column * NUMBER
        sums = out + row * row_of_out + column * NUMBER
        multiply(rows_from, line, NUMBER, pairs, columns_from, wide * NUMBER, sums, row_of_out)

    return put


_wide_block, _narrow_block = _block(_ROWS, _VECTORS), _block(_ROWS, 1)
_wide_row, _narrow_row, _number = _block(1, _VECTORS), _block(1, 1), _block(1, 0)


@compiled
def multiply_pairs(  # noqa: PLR0917 - compiled code takes them by position
    m: int, n: int, k: int, left: int, right: int, wide: int, out: int
) -> None:
    """Puts ``left`` [m, k] times ``right`` [k, n] into float32 ``out`` [m, n]; all by address.

    Only where `CAN_PAIR`. The last block of a row or column begins early enough to be a whole one,
    and does some sums again.

    Args:
        m: rows.
        n: columns.
        k: inner indices, an even number.
        left: bfloat16, row by row.
        right: bfloat16 [k / 2, wide, 2], of which the first n columns count.
        wide: see `SPARE`.
        out: row by row.
    """
    if n < _LANES:
        for row in range(m):
            for column in range(n):
                _number(row, column, n, k, left, right, wide, out)
        return
    start = 0
    while start < n:
        whole = n - start >= _VECTORS * _LANES
        column = start if whole else min(start, n - _LANES)
        for first in range(0, m, _ROWS if m >= _ROWS else 1):
            row = min(first, m - _ROWS) if m >= _ROWS else first
            if m >= _ROWS and whole:
                _wide_block(row, column, n, k, left, right, wide, out)
            elif m >= _ROWS:
                _narrow_block(row, column, n, k, left, right, wide, out)
            elif whole:
                _wide_row(row, column, n, k, left, right, wide, out)
            else:
                _narrow_row(row, column, n, k, left, right, wide, out)
        start = column + (_VECTORS * _LANES if whole else _LANES)
