"""Matrix products in bfloat16 with float32 sums: blocks of vector registers, or AMX tiles. Numba.

`matmul`, `matmul_packed` and `matmul_tn` take arrays, for training; `matmul_by_address` takes
addresses, for decoding. Letters: M rows, N columns, K inner indices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from model.kernels.amx import _tile_block, configure, release, row_in_tile_order
from model.kernels.cpu import HAS_AMX, HAS_BFLOAT16
from model.kernels.dtypes import BFLOAT16_BYTES, WORD_BYTES, Array
from model.kernels.jit import inline
from model.kernels.microkernel import tile
from model.kernels.packing import (
    DEPTH,
    PAIR_LANES,
    PANEL,
    PANEL_STEP,
    ROW_PADDING,
    ROWS_PER_BLOCK,
    TILE_ROWS,
    _transposed_line,
    empty_pairs,
    round_up,
)

_VECTORS_PER_BLOCK: Final = 2
"""Of a block: enough sums to begin a product in each half of a cycle while others are under way."""
_VECTORS_PER_ROW: Final = 8
"""Of a block of a single row, for the same reason."""


def _pair_block(rows: int, vectors: int) -> Callable[..., None]:
    """Returns what puts a block of sums in its place, wherever that is."""
    # Other processors must not be asked to compile the instruction.
    lanes = PAIR_LANES if HAS_BFLOAT16 and vectors else 1
    multiply = tile("pairs", rows=rows, vectors=max(1, vectors), adds=False, lanes=lanes)

    @inline
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
        line = n * WORD_BYTES
        from_left, from_right = left + row * left_row, right + column * WORD_BYTES
        sums = out + row * line + column * WORD_BYTES
        step = wide * WORD_BYTES
        multiply(from_left, left_row, left_step, pairs, from_right, step, sums, line)

    return put


_wide_block, _narrow_block = (
    _pair_block(ROWS_PER_BLOCK, _VECTORS_PER_BLOCK),
    _pair_block(ROWS_PER_BLOCK, 1),
)
_long_row, _short_row, _number = (
    _pair_block(1, _VECTORS_PER_ROW),
    _pair_block(1, 1),
    _pair_block(1, 0),
)


@inline
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
    """Does what `matmul_pairs` does row by row, for too few rows to fill a block."""
    for row in range(m):
        start = 0
        while start < n:
            if n - start >= _VECTORS_PER_ROW * PAIR_LANES:
                _long_row(row, start, n, pairs, left, left_row, left_step, right, wide, out)
                start += _VECTORS_PER_ROW * PAIR_LANES
            else:
                column = min(start, n - PAIR_LANES)
                _short_row(row, column, n, pairs, left, left_row, left_step, right, wide, out)
                start = column + PAIR_LANES


@inline
def matmul_pairs(  # noqa: PLR0917 - compiled code takes them by position
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

    Only where `HAS_BFLOAT16`. The last block of a row or column begins early enough to be a whole
    one, and does some sums again.

    Args:
        m: rows.
        n: columns.
        pairs: half of the inner indices.
        left: bfloat16.
        left_row: bytes from one row to the next.
        left_step: bytes from one pair of a row to the next: 4 where rows lie one after the other.
        right: bfloat16 [pairs, wide, 2], of which the first n columns count.
        wide: see `ROW_PADDING`.
        out: row by row.
    """
    if n < PAIR_LANES:
        for row in range(m):
            for column in range(n):
                _number(row, column, n, pairs, left, left_row, left_step, right, wide, out)
        return
    if m < ROWS_PER_BLOCK:
        _multiply_rows(m, n, pairs, left, left_row, left_step, right, wide, out)
        return
    start = 0
    while start < n:
        whole = n - start >= _VECTORS_PER_BLOCK * PAIR_LANES
        column = start if whole else min(start, n - PAIR_LANES)
        for first in range(0, m, ROWS_PER_BLOCK):
            row = min(first, m - ROWS_PER_BLOCK)
            if whole:
                _wide_block(row, column, n, pairs, left, left_row, left_step, right, wide, out)
            else:
                _narrow_block(row, column, n, pairs, left, left_row, left_step, right, wide, out)
        start = column + (_VECTORS_PER_BLOCK * PAIR_LANES if whole else PAIR_LANES)


@inline
def matmul_pair_panels(  # noqa: PLR0917
    m: int, n: int, pairs: int, left: int, left_row: int, right: int, out: int
) -> None:
    """Does what `matmul_pairs` does, with a right matrix in panels: see `pack_pair_panels`.

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
        panel, sums = right + column * pairs * WORD_BYTES, out + column * WORD_BYTES
        for first in range(0, m, ROWS_PER_BLOCK):
            row = min(first, m - ROWS_PER_BLOCK)
            _wide_block(row, 0, n, pairs, left, left_row, WORD_BYTES, panel, PANEL, sums)


_CHUNK: Final = 512
"""Inner indices of a long product that are gone through at once: with them panels stay in the
first-level cache."""
_COLUMNS_AT_ONCE: Final = 128
"""Columns of it: with them what is read again and again stays in the second-level cache."""


@inline
def matmul_packed(left: Array, right: Array, columns: int, out: Array, backwards: bool) -> None:
    """Puts a left matrix times a packed right one into ``out``.

    Between `configure` for as many rows and `release` of ``model.kernels.amx``.

    Args:
        left: bfloat16 [M, K], K even.
        right: packed.
        columns: N.
        out: float32 [M, N], written.
        backwards: whether to begin with what the time before ended with, if it began with the
            first columns: of a matrix that a cache cannot hold it holds what was read last.
    """
    rows, inner = left.shape
    if not HAS_AMX:
        places, line = (
            (left.ctypes.data, right.ctypes.data, out.ctypes.data),
            inner * BFLOAT16_BYTES,
        )
        pairs, wide = inner // 2, columns + ROW_PADDING
        matmul_pairs(
            rows, columns, pairs, places[0], line, WORD_BYTES, places[1], wide, places[2]
        )  # fmt: skip
        return
    deep, wide = round_up(inner, DEPTH), round_up(columns, PANEL)
    whole, sums = left, out
    if deep > inner:
        whole = empty_pairs(rows * deep // 2).view(np.uint16).reshape(rows, deep)
        whole[:, :inner] = left
        whole[:, inner:] = np.uint16(0)
    if wide > columns:
        sums = empty_pairs(rows * wide).view(np.float32).reshape(rows, wide)
    steps = deep // DEPTH
    places = whole.ctypes.data, right.ctypes.data, sums.ctypes.data
    line, panel = deep * BFLOAT16_BYTES, steps * PANEL_STEP
    matmul_tiles(
        rows,
        wide,
        steps,
        places[0],
        line,
        places[1],
        panel,
        places[2],
        wide * WORD_BYTES,
        backwards,
    )
    if wide > columns:
        out[:] = sums[:, :columns]


@inline
def matmul(left: Array, right: Array, columns: int, out: Array) -> None:
    """Does what `matmul_packed` does, once."""
    configure(len(left))
    matmul_packed(left, right, columns, out, False)
    release()


@inline
def matmul_tn(  # noqa: PLR0917 - compiled code takes them by position
    inner: int, left: Array, rows: int, right: Array, columns: int, out: Array
) -> None:
    """Puts the transpose of a left [K, M] times a right matrix [K, N] into ``out`` [M, N].

    Args:
        inner: K.
        left: as `pack_transposed` packed it.
        rows: M.
        right: as `transpose` left it.
        columns: N.
        out: written.
    """
    if not HAS_AMX:
        pairs, places = (inner + 1) // 2, (left.ctypes.data, right.ctypes.data, out.ctypes.data)
        step, wide = (rows + ROW_PADDING) * WORD_BYTES, columns + ROW_PADDING
        matmul_pairs(
            rows, columns, pairs, places[0], WORD_BYTES, step, places[1], wide, places[2]
        )  # fmt: skip
        return
    # The other way round, for the left one is the larger: [N, K] [K, M], some columns at a time.
    wide = _COLUMNS_AT_ONCE + ROW_PADDING
    sums = empty_pairs(columns * wide).view(np.float32)
    deep, line = round_up(inner, DEPTH), _transposed_line(inner) * WORD_BYTES
    panel, place, width = deep // DEPTH * PANEL_STEP, sums.ctypes.data, wide * WORD_BYTES
    configure(columns)
    for first in range(0, rows, _COLUMNS_AT_ONCE):
        count = min(_COLUMNS_AT_ONCE, rows - first)
        filled = round_up(count, PANEL)
        for start in range(0, deep, _CHUNK):
            steps = min(_CHUNK, deep - start) // DEPTH
            turned = right.ctypes.data + start * BFLOAT16_BYTES
            packed = left.ctypes.data + first // PANEL * panel + start // DEPTH * PANEL_STEP
            if start:
                add_matmul_tiles(
                    columns, filled, steps, turned, line, packed, panel, place, width, False
                )
            else:
                matmul_tiles(
                    columns, filled, steps, turned, line, packed, panel, place, width, False
                )
        for start in range(0, columns, TILE_ROWS):
            for row in range(count):
                total = out[first + row]
                for column in range(start, min(start + TILE_ROWS, columns)):
                    total[column] = sums[column * wide + row]
    release()


def _tile_matmul(*, adds: bool) -> Callable[..., None]:
    """Returns `matmul_tiles` or `add_matmul_tiles`."""
    tall, wide, small = (_tile_block(*shape, adds=adds) for shape in ((2, 1), (1, 2), (1, 1)))

    @inline
    def multiply(  # noqa: PLR0917
        m: int,
        n: int,
        steps: int,
        left: int,
        left_row: int,
        right: int,
        panel: int,
        out: int,
        out_row: int,
        backwards: bool,
    ) -> None:
        usual = min(m, 2 * TILE_ROWS)
        for row in range(0, m, 2 * TILE_ROWS):
            rows, start = min(m - row, 2 * TILE_ROWS), left + row * left_row
            sums, done = out + row * out_row, 0
            if rows != usual:
                configure(rows)
            while done < n:
                count = PANEL if rows > TILE_ROWS or n - done == PANEL else 2 * PANEL
                column = n - done - count if backwards else done
                place, packed = sums + column * WORD_BYTES, right + column // PANEL * panel
                if rows > TILE_ROWS:
                    tall(start, left_row, steps, packed, panel, place, out_row)
                elif count > PANEL:
                    wide(start, left_row, steps, packed, panel, place, out_row)
                else:
                    small(start, left_row, steps, packed, panel, place, out_row)
                done += count
            if rows != usual:
                configure(m)

    return multiply


matmul_tiles = _tile_matmul(adds=False)
"""``matmul_tiles(m, n, steps, left, left_row, right, panel, out, out_row, backwards)``: puts a
left matrix [m, `DEPTH` steps] times a right one into float32 ``out`` [m, n]. Only where the
processor has a matrix unit, between `configure` and `release`, which do nothing elsewhere. Matrices
by address:

m: rows.
n: columns, a multiple of `PANEL`.
steps: of `DEPTH` inner indices.
left: bfloat16.
left_row: bytes from one row to the next.
right: bfloat16, in panels: see ``pack_panels`` of ``model.kernels.matmul``.
panel: bytes from one panel to the next.
out: row by row.
out_row: bytes from one row to the next.
backwards: whether to begin with the last columns: a cache holds what was read last.
"""


add_matmul_tiles = _tile_matmul(adds=True)
"""Does the same, and adds to what is in ``out``."""


@inline
def _matmul_with_amx(  # noqa: PLR0917
    m: int, n: int, k: int, left: int, right: int, out: int
) -> None:
    steps = k // DEPTH
    if m == 1:
        row_in_tile_order(n, steps, left, right, out)
        return
    matmul_tiles(
        m, n, steps, left, k * BFLOAT16_BYTES, right, steps * PANEL_STEP, out, n * WORD_BYTES, False
    )


@inline
def _matmul_with_registers(  # noqa: PLR0917
    m: int, n: int, k: int, left: int, right: int, out: int
) -> None:
    if m >= ROWS_PER_BLOCK:
        matmul_pair_panels(m, n, k // 2, left, k * BFLOAT16_BYTES, right, out)
    else:
        matmul_pairs(m, n, k // 2, left, k * BFLOAT16_BYTES, WORD_BYTES, right, n, out)


matmul_by_address = _matmul_with_amx if HAS_AMX else _matmul_with_registers
"""``matmul_by_address(m, n, k, left, right, out)``: writes left [m, k] times a packed matrix to
float32 out [m, n], all row-major and by address. Call it between ``configure(m)`` and ``release()``
of ``model.kernels.amx``."""
