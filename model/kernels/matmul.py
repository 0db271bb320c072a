"""Matrix products of float32, or of bfloat16 with float32 sums. Numba.

`matmul` and `matmul_tn` take arrays, for training; `multiply` takes addresses, for decoding. The
dtype of the left matrix says which numbers are multiplied, the SIMD level how: in blocks of vector
registers, or in AMX tiles. Each sum is added up in one order, which does not depend on M or N, so a
row has the same bits beside any others. Letters: M rows, N columns, K inner indices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba import types

from model.kernels.amx import configure_tiles, multiply_tiles, release_tiles
from model.kernels.cpu import HAS_AMX
from model.kernels.dtypes import WORD_BYTES, Array, by_type
from model.kernels.jit import inline
from model.kernels.microkernel import ROWS_PER_BLOCK, panels_per_block, register_block
from model.kernels.packing import (
    PANEL,
    WORDS_PER_LINE,
    empty_words,
    pack,
    round_up,
    transpose_words,
    transposed_row_words,
    words_of,
)

ProductArguments = tuple[int, int, int, int, int, int, int, int, bool, bool]
"""What a product takes, matrices by address and distances in bytes:

- m, n: M, at least 1, and N, a multiple of `PANEL`;
- words: words of a left row; see `packing.words_of`;
- left, left_row: numbers [M, K padded], and the distance from one row to the next;
- right: the packed matrix; see ``model.kernels.packing``;
- out, out_row: float32 [M, N], written, and the distance from one row to the next;
- backwards: whether to begin with the last columns. If every other product of a series does, a
  cache that is too small for the right matrix still holds the columns read last;
- adds: whether to add to ``out``; otherwise it is overwritten.
"""


@inline
def _no_block(rows: int, panels: int, arguments: tuple[int, ...]) -> None:
    """Is never reached: a block has at least one row."""


def _block_or(rows: int, others: Callable[..., None], dtype: Any) -> Callable[..., None]:
    """Returns what multiplies blocks of ``rows`` rows itself, and leaves the others to ``others``.

    Such blocks have one panel, or as many as `panels_per_block` says.
    """
    most = panels_per_block(rows)
    narrow, wide = register_block(dtype, rows, 1), register_block(dtype, rows, most)

    @inline
    def multiply_block(count: int, panels: int, arguments: tuple[int, ...]) -> None:
        if count != rows:
            others(count, panels, arguments)
        elif most > 1 and panels > 1:
            wide(*arguments)
        else:
            narrow(*arguments)

    return multiply_block


def _register_product(dtype: Any) -> Callable[..., None]:
    """Returns what does the work of `multiply` in vector registers, for a Numba dtype."""
    multiply_block: Callable[..., None] = _no_block
    for count in range(1, ROWS_PER_BLOCK + 1):
        multiply_block = _block_or(count, multiply_block, dtype)
    widths = np.array([1, *(panels_per_block(rows) for rows in range(1, ROWS_PER_BLOCK + 1))])
    panel_row = PANEL * WORD_BYTES

    @inline
    def multiply(arguments: ProductArguments) -> None:
        m, n, words, left, left_row, right, out, out_row, backwards, adds = arguments
        # Blocks of rows that differ by one at most: small blocks would wait for their own sums.
        blocks, panels, panel = -(-m // ROWS_PER_BLOCK), n // PANEL, words * panel_row
        most, done = widths[m] if blocks == 1 else 1, 0
        # Panels outside, rows inside: a panel stays in the cache for all rows.
        while done < panels:
            count = most if panels - done >= most else 1
            first = panels - done - count if backwards else done
            columns, sums = right + first * panel, out + first * panel_row
            for block in range(blocks):
                row, end = m * block // blocks, m * (block + 1) // blocks
                rows, place = left + row * left_row, sums + row * out_row
                multiply_block(
                    end - row,
                    count,
                    (rows, left_row, words, columns, panel, place, out_row, int(adds)),
                )
            done += count

    return multiply


_PRODUCTS: Final = {
    types.float32: _register_product(types.float32),
    types.uint16: multiply_tiles if HAS_AMX else _register_product(types.uint16),
}


@by_type
def multiply(like: Any, arguments: Any) -> Any:
    """Writes ``out [M, N] = left [M, K] right [K, N]``.

    It is called between `configure_tiles` and `release_tiles`.

    Args:
        like: float32, or bfloat16 in uint16; only its dtype matters.
        arguments: see `ProductArguments`.
    """
    product = _PRODUCTS[like.dtype]

    def run(like: Any, arguments: Any) -> None:
        product(arguments)

    return run


@inline
def matmul_of_series(left: Array, packed: Array, out: Array, backwards: bool) -> None:
    """Writes ``out [M, N] = left [M, K] right [K, N]``, as one of a series, see `multiply`.

    Args:
        left: float32 or bfloat16 [M, K padded to `packing.padded_depth`].
        packed: uint32, from `pack` or `pack_transposed`.
        out: float32 [M, N padded to whole panels]; written.
        backwards: see `multiply`.
    """
    (m, depth), n = left.shape, out.shape[1]
    row, places = depth * left.itemsize, (left.ctypes.data, packed.ctypes.data, out.ctypes.data)
    arguments = m, n, row // WORD_BYTES, places[0], row, places[1], places[2], n * WORD_BYTES
    multiply(left, (*arguments, backwards, False))


@inline
def matmul(left: Array, packed: Array, out: Array) -> None:
    """Does what `matmul_of_series` does, once."""
    configure_tiles(len(left))
    matmul_of_series(left, packed, out, False)
    release_tiles()


_CHUNK_WORDS: Final = 2**13 // PANEL
"""Words of inner indices of `matmul_tn` in one pass: a panel of them, 32 kB, stays in the L1 cache
or next to it."""
COLUMNS_PER_PASS: Final = 64
"""Columns of `matmul_tn` in one pass: what a pass reads repeatedly stays in the L2 cache."""


@inline
def matmul_tn(
    left: Array, first: int, rows: int, transposed: Array, columns: int, out: Array
) -> None:
    """Writes ``out [M, N] = left^T right`` of a left [K, M] and a right matrix [K, N].

    It is computed as [N, K] [K, M], because the left matrix is the larger one (of a layer M = 4H,
    N = H), and the smaller one is the one that is transposed.

    Args:
        left: float32 or bfloat16 [K, first + M or more].
        first: first of the columns of ``left``.
        rows: M.
        transposed: uint32, from `transpose` of the right matrix.
        columns: N.
        out: float32 [M, N]; written.
    """
    inner, values = len(left), WORD_BYTES // left.itemsize
    # Sums of one pass, transposed into `out` later. Their rows do not lie a power of two apart.
    width = round_up(COLUMNS_PER_PASS, PANEL)
    sums_width = width + WORDS_PER_LINE
    sums = empty_words(columns * sums_width).view(np.float32)
    packed = empty_words(width * _CHUNK_WORDS)
    line = transposed_row_words(inner, left.itemsize) * WORD_BYTES
    sums_row = sums_width * WORD_BYTES
    configure_tiles(columns)
    for start in range(0, rows, width):
        count = min(width, rows - start)
        n = round_up(count, PANEL)
        for k in range(0, inner, _CHUNK_WORDS * values):
            chunk = left[k : min(inner, k + _CHUNK_WORDS * values)]
            pack(chunk, first + start, count, left, packed)
            words = words_of(len(chunk), left.itemsize)
            rows_at = transposed.ctypes.data + k // values * WORD_BYTES
            places = packed.ctypes.data, sums.ctypes.data
            arguments = columns, n, words, rows_at, line, places[0], places[1], sums_row
            multiply(left, (*arguments, False, k > 0))
        transposed_out = sums.reshape(columns, sums_width)[:, :count]
        transpose_words(transposed_out, sums, out[start : start + count])
    release_tiles()
