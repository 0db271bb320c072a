"""Matrix products in bfloat16 with float32 sums: register blocks, or AMX tiles. Numba.

`matmul`, `matmul_packed` and `matmul_tn` take arrays, for training. `matmul_by_address` takes
addresses, for decoding. Letters: M rows, N columns, K inner indices; arrays are row-major.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from model.kernels.amx import configure_tiles, release_tiles, row_in_tile_order, tile_block
from model.kernels.cpu import HAS_AMX, HAS_BFLOAT16
from model.kernels.dtypes import BFLOAT16_BYTES, WORD_BYTES, Array
from model.kernels.jit import inline
from model.kernels.microkernel import tile
from model.kernels.packing import (
    PAIR_LANES,
    PANEL,
    PANEL_STEP_BYTES,
    ROW_PADDING,
    ROWS_PER_BLOCK,
    TILE_DEPTH,
    TILE_ROWS,
    empty_words,
    round_up,
    transposed_row_pairs,
)

_VECTORS_PER_BLOCK: Final = 2
"""With eight rows these are 16 independent sums: enough to start two multiplications a cycle while
others are under way, and few enough for the 32 vector registers."""
_VECTORS_PER_ROW: Final = 8
"""Vectors of a block of one row: eight independent sums, for the same reason."""


def _pair_block(rows: int, vectors: int) -> Callable[..., None]:
    """Returns what computes a block of ``out``, at any row and column of it.

    Args:
        rows: of the block.
        vectors: of `PAIR_LANES` columns each; 0 for a block of one column.
    """
    # LLVM cannot compile the instruction for processors without it.
    lanes = PAIR_LANES if HAS_BFLOAT16 and vectors else 1
    micro_kernel = tile("pairs", rows=rows, vectors=max(1, vectors), adds=False, lanes=lanes)

    @inline
    def multiply_block(  # noqa: PLR0917
        row: int,
        column: int,
        n: int,
        pairs: int,
        left: int,
        left_row: int,
        left_step: int,
        right: int,
        width: int,
        out: int,
    ) -> None:
        out_row, right_row = n * WORD_BYTES, width * WORD_BYTES
        left_start, right_start = left + row * left_row, right + column * WORD_BYTES
        sums = out + row * out_row + column * WORD_BYTES
        micro_kernel(left_start, left_row, left_step, pairs, right_start, right_row, sums, out_row)

    return multiply_block


_wide_block = _pair_block(ROWS_PER_BLOCK, _VECTORS_PER_BLOCK)
_narrow_block = _pair_block(ROWS_PER_BLOCK, 1)
_long_row = _pair_block(1, _VECTORS_PER_ROW)
_short_row = _pair_block(1, 1)
_single_number = _pair_block(1, 0)


@inline
def _multiply_rows(  # noqa: PLR0917
    m: int,
    n: int,
    pairs: int,
    left: int,
    left_row: int,
    left_step: int,
    right: int,
    width: int,
    out: int,
) -> None:
    """Does what `matmul_pairs` does, row by row, for too few rows to fill a block."""
    for row in range(m):
        start = 0
        while start < n:
            if n - start >= _VECTORS_PER_ROW * PAIR_LANES:
                _long_row(row, start, n, pairs, left, left_row, left_step, right, width, out)
                start += _VECTORS_PER_ROW * PAIR_LANES
            else:
                column = min(start, n - PAIR_LANES)
                _short_row(row, column, n, pairs, left, left_row, left_step, right, width, out)
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
    width: int,
    out: int,
) -> None:
    """Writes ``out [M, N] = left [M, K] right [K, N]``; matrices by address.

    Only if `HAS_BFLOAT16`. The last block of a row or column begins early enough to be a full one,
    and computes some sums twice: cheaper than code for partial blocks.

    Args:
        m: M.
        n: N.
        pairs: K / 2.
        left: bfloat16 [M, K].
        left_row: bytes from one row to the next.
        left_step: bytes from one pair of a row to the next; 4 if a row is contiguous.
        right: bfloat16 [K / 2, width, 2].
        width: N or more; see `ROW_PADDING`.
        out: float32 [M, N]; written.
    """
    if n < PAIR_LANES:
        for row in range(m):
            for column in range(n):
                _single_number(row, column, n, pairs, left, left_row, left_step, right, width, out)
        return
    if m < ROWS_PER_BLOCK:
        _multiply_rows(m, n, pairs, left, left_row, left_step, right, width, out)
        return
    # Columns outside, rows inside: the right columns of a block stay in the cache for all rows.
    start = 0
    while start < n:
        is_wide = n - start >= _VECTORS_PER_BLOCK * PAIR_LANES
        column = start if is_wide else min(start, n - PAIR_LANES)
        for first in range(0, m, ROWS_PER_BLOCK):
            row = min(first, m - ROWS_PER_BLOCK)
            if is_wide:
                _wide_block(row, column, n, pairs, left, left_row, left_step, right, width, out)
            else:
                _narrow_block(row, column, n, pairs, left, left_row, left_step, right, width, out)
        start = column + (_VECTORS_PER_BLOCK * PAIR_LANES if is_wide else PAIR_LANES)


@inline
def matmul_pair_panels(  # noqa: PLR0917
    m: int, n: int, pairs: int, left: int, left_row: int, right: int, out: int
) -> None:
    """Does what `matmul_pairs` does, with a right matrix in panels.

    Args:
        m: M, at least `ROWS_PER_BLOCK`.
        n: N, a multiple of `PANEL`.
        pairs: K / 2.
        left: bfloat16 [M, K].
        left_row: bytes from one row to the next.
        right: bfloat16 [N / PANEL, K / 2, PANEL, 2]; see `pack_pair_panels`.
        out: float32 [M, N]; written.
    """
    for column in range(0, n, PANEL):
        panel, sums = right + column * pairs * WORD_BYTES, out + column * WORD_BYTES
        for first in range(0, m, ROWS_PER_BLOCK):
            row = min(first, m - ROWS_PER_BLOCK)
            _wide_block(row, 0, n, pairs, left, left_row, WORD_BYTES, panel, PANEL, sums)


_INNER_CHUNK: Final = 512
"""Inner indices of `matmul_tn` in one pass: a panel of them, 32 kB, stays in the L1 cache."""
_LEFT_COLUMNS: Final = 128
"""Left columns of `matmul_tn` in one pass: what a pass reads repeatedly stays in the L2 cache."""


@inline
def matmul_packed(left: Array, right: Array, columns: int, out: Array, backwards: bool) -> None:
    """Writes ``out [M, N] = left [M, K] right [K, N]``, the right matrix packed.

    Call it between ``configure_tiles(M)`` and ``release_tiles()`` of ``model.kernels.amx``.

    Args:
        left: bfloat16 [M, K], K even.
        right: uint32, from `pack` or `pack_transposed`.
        columns: N.
        out: float32 [M, N]; written.
        backwards: whether to begin with the last columns. If every other product of a series does,
            a cache that is too small for the right matrix still holds the columns read last.
    """
    rows, inner = left.shape
    if not HAS_AMX:
        places = left.ctypes.data, right.ctypes.data, out.ctypes.data
        left_row, width = inner * BFLOAT16_BYTES, columns + ROW_PADDING
        matmul_pairs(
            rows, columns, inner // 2, places[0], left_row, WORD_BYTES, places[1], width, places[2]
        )
        return
    # Whole tiles: K and N padded, where they are not multiples already.
    padded_inner, padded_columns = round_up(inner, TILE_DEPTH), round_up(columns, PANEL)
    operand, sums = left, out
    if padded_inner > inner:
        operand = empty_words(rows * padded_inner // 2).view(np.uint16).reshape(rows, padded_inner)
        operand[:, :inner] = left
        operand[:, inner:] = np.uint16(0)
    if padded_columns > columns:
        sums = empty_words(rows * padded_columns).view(np.float32).reshape(rows, padded_columns)
    steps = padded_inner // TILE_DEPTH
    matmul_tiles(
        rows,
        padded_columns,
        steps,
        operand.ctypes.data,
        padded_inner * BFLOAT16_BYTES,
        right.ctypes.data,
        steps * PANEL_STEP_BYTES,
        sums.ctypes.data,
        padded_columns * WORD_BYTES,
        backwards,
    )
    if padded_columns > columns:
        out[:] = sums[:, :columns]


@inline
def matmul(left: Array, right: Array, columns: int, out: Array) -> None:
    """Does what `matmul_packed` does, once, and sets up AMX for it."""
    configure_tiles(len(left))
    matmul_packed(left, right, columns, out, False)
    release_tiles()


@inline
def matmul_tn(  # noqa: PLR0917 - compiled code takes them by position
    inner: int, left: Array, rows: int, right: Array, columns: int, out: Array
) -> None:
    """Writes ``out [M, N] = left^T right`` of a left [K, M] and a right matrix [K, N].

    Args:
        inner: K.
        left: uint32, from `pack_transposed`.
        rows: M.
        right: uint32, from `transpose`.
        columns: N.
        out: float32 [M, N]; written.
    """
    if HAS_AMX:
        _matmul_tn_with_amx(inner, left, rows, right, columns, out)
        return
    # Row k of the packed left matrix holds pairs of all M rows: the next pair is a row away.
    left_step, width = (rows + ROW_PADDING) * WORD_BYTES, columns + ROW_PADDING
    pairs, places = (inner + 1) // 2, (left.ctypes.data, right.ctypes.data, out.ctypes.data)
    matmul_pairs(
        rows, columns, pairs, places[0], WORD_BYTES, left_step, places[1], width, places[2]
    )  # fmt: skip


@inline
def _matmul_tn_with_amx(  # noqa: PLR0917
    inner: int, left: Array, rows: int, right: Array, columns: int, out: Array
) -> None:
    """Does what `matmul_tn` does, as the product [N, K] [K, M]; see there for the arguments.

    The left matrix is the larger one (of a layer M = 4H, N = H), so it takes the role of the
    panels, and the smaller one is the one that is transposed.
    """
    # Sums of one pass, [N, _LEFT_COLUMNS + padding]; then transposed into `out`.
    sums_width = _LEFT_COLUMNS + ROW_PADDING
    sums = empty_words(columns * sums_width).view(np.float32)
    padded_inner = round_up(inner, TILE_DEPTH)
    line, sums_row = transposed_row_pairs(inner) * WORD_BYTES, sums_width * WORD_BYTES
    panel, place = padded_inner // TILE_DEPTH * PANEL_STEP_BYTES, sums.ctypes.data
    configure_tiles(columns)
    for first in range(0, rows, _LEFT_COLUMNS):
        count = min(_LEFT_COLUMNS, rows - first)
        n = round_up(count, PANEL)
        for start in range(0, padded_inner, _INNER_CHUNK):
            steps = min(_INNER_CHUNK, padded_inner - start) // TILE_DEPTH
            transposed = right.ctypes.data + start * BFLOAT16_BYTES
            chunk = start // TILE_DEPTH * PANEL_STEP_BYTES
            packed = left.ctypes.data + first // PANEL * panel + chunk
            if start:
                add_matmul_tiles(
                    columns, n, steps, transposed, line, packed, panel, place, sums_row, False
                )
            else:
                matmul_tiles(
                    columns, n, steps, transposed, line, packed, panel, place, sums_row, False
                )
        # 16 columns of `out` at a time are one cache line of each of its rows.
        for start in range(0, columns, TILE_ROWS):
            for row in range(count):
                total = out[first + row]
                for column in range(start, min(start + TILE_ROWS, columns)):
                    total[column] = sums[column * sums_width + row]
    release_tiles()


def _tile_matmul(*, adds: bool) -> Callable[..., None]:
    """Returns `matmul_tiles` or `add_matmul_tiles`."""
    # Two tiles of rows and one panel, or one tile and two panels: four tiles of sums either way.
    tall, wide, small = (tile_block(*shape, adds=adds) for shape in ((2, 1), (1, 2), (1, 1)))

    @inline
    def matmul(  # noqa: PLR0917
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
        configured = min(m, 2 * TILE_ROWS)
        # Rows outside: the left rows of a block stay in the cache for all columns.
        for row in range(0, m, 2 * TILE_ROWS):
            rows, start = min(m - row, 2 * TILE_ROWS), left + row * left_row
            sums, done = out + row * out_row, 0
            if rows != configured:
                configure_tiles(rows)
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
            if rows != configured:
                configure_tiles(m)

    return matmul


matmul_tiles = _tile_matmul(adds=False)
"""``matmul_tiles(m, n, steps, left, left_row, right, panel, out, out_row, backwards)``: writes
``out [M, N] = left [M, K] right [K, N]`` with AMX; matrices by address. Call it between
`configure_tiles` and `release_tiles`; without AMX it does nothing.

- m: M.
- n: N, a multiple of `PANEL`.
- steps: K / `TILE_DEPTH`.
- left, left_row: bfloat16 [M, K], and bytes from one row to the next.
- right, panel: bfloat16 [N / PANEL, K / 2, PANEL, 2], and bytes from one panel to the next.
- out, out_row: float32 [M, N], and bytes from one row to the next.
- backwards: whether to begin with the last columns; see `matmul_packed`.
"""


add_matmul_tiles = _tile_matmul(adds=True)
"""Does what `matmul_tiles` does, but adds the product to ``out``."""


@inline
def _matmul_with_amx(  # noqa: PLR0917
    m: int, n: int, k: int, left: int, right: int, out: int
) -> None:
    steps = k // TILE_DEPTH
    if m == 1:
        row_in_tile_order(n, steps, left, right, out)
        return
    left_row, panel, out_row = k * BFLOAT16_BYTES, steps * PANEL_STEP_BYTES, n * WORD_BYTES
    matmul_tiles(m, n, steps, left, left_row, right, panel, out, out_row, False)


@inline
def _matmul_with_registers(  # noqa: PLR0917
    m: int, n: int, k: int, left: int, right: int, out: int
) -> None:
    if m >= ROWS_PER_BLOCK:
        matmul_pair_panels(m, n, k // 2, left, k * BFLOAT16_BYTES, right, out)
    else:
        matmul_pairs(m, n, k // 2, left, k * BFLOAT16_BYTES, WORD_BYTES, right, n, out)


matmul_by_address = _matmul_with_amx if HAS_AMX else _matmul_with_registers
"""``matmul_by_address(m, n, k, left, right, out)``: writes ``out [M, N] = left [M, K] right [K,
N]``; matrices by address. Call it between ``configure_tiles(m)`` and ``release_tiles()``.

- m, n, k: M, N and K; N a multiple of `PANEL`, K of `INNER_MULTIPLE`.
- left: bfloat16 [M, K].
- right: from `pack_for_decoding` for M streams.
- out: float32 [M, N]; written.
"""
