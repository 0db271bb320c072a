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
from numba.extending import overload

from model.kernels.amx import (
    add_tile_products,
    configure_tiles,
    multiply_tiles,
    release_tiles,
)
from model.kernels.cpu import HAS_AMX
from model.kernels.dtypes import WORD_BYTES, Array, Numbers
from model.kernels.jit import Kernel, inline
from model.kernels.microkernel import ROWS_PER_BLOCK, panels_per_block, register_block
from model.kernels.packing import (
    PANEL,
    WORDS_PER_LINE,
    empty_words,
    pack,
    round_up,
    transposed_row_words,
    values_per_word,
    words_of,
)

ProductArguments = tuple[int, int, int, int, int, int, int, int, bool]
"""What a product takes, matrices by address and distances in bytes:

- m, n: M, at least 1, and N, a multiple of `PANEL`;
- words: words of a left row; see `packing.words_of`;
- left, left_row: numbers [M, K padded], and the distance from one row to the next;
- right: the packed matrix; see ``model.kernels.packing``;
- out, out_row: float32 [M, N], written, and the distance from one row to the next;
- backwards: whether to begin with the last columns. If every other product of a series does, a
  cache that is too small for the right matrix still holds the columns read last.
"""
_Block = Callable[[int, int, tuple[int, ...]], None]
"""Takes rows, panels and the arguments of a `register_block`."""


@inline
def _no_block(rows: int, panels: int, arguments: tuple[int, ...]) -> None:
    """Is never reached: a block has at least one row."""


def _block_or(rows: int, others: _Block, numbers: Numbers, *, adds: bool) -> _Block:
    """Returns what multiplies blocks of ``rows`` rows itself, and leaves the others to ``others``.

    Such blocks have one panel, or as many as `panels_per_block` says.
    """
    most = panels_per_block(rows)
    narrow = register_block(numbers, rows=rows, panels=1, adds=adds)
    wide = register_block(numbers, rows=rows, panels=most, adds=adds)

    @inline
    def multiply_block(count: int, panels: int, arguments: tuple[int, ...]) -> None:
        if count != rows:
            others(count, panels, arguments)
        elif most > 1 and panels > 1:
            wide(arguments)
        else:
            narrow(arguments)

    return multiply_block


def _register_product(numbers: Numbers, *, adds: bool) -> Callable[..., None]:
    """Returns what does the work of `multiply` in vector registers."""
    multiply_block: _Block = _no_block
    for count in range(1, ROWS_PER_BLOCK + 1):
        multiply_block = _block_or(count, multiply_block, numbers, adds=adds)
    widths = np.array([1, *(panels_per_block(rows) for rows in range(1, ROWS_PER_BLOCK + 1))])
    panel_row = PANEL * WORD_BYTES

    @inline
    def multiply(arguments: ProductArguments) -> None:
        m, n, words, left, left_row, right, out, out_row, backwards = arguments
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
                    end - row, count, (rows, left_row, words, columns, panel, place, out_row)
                )
            done += count

    return multiply


_PRODUCTS: Final = {
    (types.float32, False): _register_product("float32", adds=False),
    (types.float32, True): _register_product("float32", adds=True),
    (types.uint16, False): multiply_tiles if HAS_AMX else _register_product("pairs", adds=False),
    (types.uint16, True): add_tile_products if HAS_AMX else _register_product("pairs", adds=True),
}


def multiply(like: Array, arguments: ProductArguments) -> None:
    """Writes ``out [M, N] = left [M, K] right [K, N]``; compiled code only.

    Call it between `begin` and `end`.

    Args:
        like: float32, or bfloat16 in uint16; only its dtype matters.
        arguments: see `ProductArguments`.
    """
    raise NotImplementedError


def _add_product(like: Array, arguments: ProductArguments) -> None:
    """Does what `multiply` does, but adds the product to ``out``; compiled code only."""
    raise NotImplementedError


def _typed(*, adds: bool) -> Callable[..., Any]:
    def choose(like: Any, arguments: Any) -> Any:  # noqa: ARG001
        product = _PRODUCTS[like.dtype, adds]

        def run(like: Any, arguments: Any) -> None:  # noqa: ARG001
            product(arguments)

        return run

    return choose


overload(multiply)(_typed(adds=False))
overload(_add_product)(_typed(adds=True))


def begin(like: Array, m: int) -> None:
    """Prepares products of M left rows; compiled code only.

    It takes a third of a microsecond with AMX, and no time elsewhere.
    """
    raise NotImplementedError


def end(like: Array) -> None:
    """Ends a series of products; compiled code only."""
    raise NotImplementedError


def _uses_tiles(like: Any) -> bool:
    return HAS_AMX and like.dtype == types.uint16


@overload(begin)
def _typed_begin(like: Any, m: Any) -> Any:  # noqa: ARG001
    def configure(like: Any, m: Any) -> None:  # noqa: ARG001
        configure_tiles(m)

    def nothing(like: Any, m: Any) -> None:
        pass

    return configure if _uses_tiles(like) else nothing


@overload(end)
def _typed_end(like: Any) -> Any:
    def release(like: Any) -> None:  # noqa: ARG001
        release_tiles()

    def nothing(like: Any) -> None:
        pass

    return release if _uses_tiles(like) else nothing


@inline
def matmul_of_series(left: Array, packed: Array, out: Array, backwards: bool) -> None:
    """Writes ``out [M, N] = left [M, K] right [K, N]``; call it between `begin` and `end`.

    Args:
        left: float32 or bfloat16 [M, K padded to `packing.padded_depth`].
        packed: uint32, from `pack` or `pack_transposed`.
        out: float32 [M, N padded to whole panels]; written.
        backwards: see `multiply`.
    """
    (m, depth), n = left.shape, out.shape[1]
    words, row = words_of(depth, left), depth * left.itemsize
    places = left.ctypes.data, packed.ctypes.data, out.ctypes.data
    multiply(left, (m, n, words, places[0], row, places[1], places[2], n * WORD_BYTES, backwards))


@inline
def matmul(left: Array, packed: Array, out: Array) -> None:
    """Does what `matmul_of_series` does, once."""
    begin(left, len(left))
    matmul_of_series(left, packed, out, False)
    end(left)


@Kernel
def repeat_matmul(left: Array, packed: Array, out: Array, times: int) -> None:
    """Does a product again and again, as a layer does at each time step; for `model.bench`."""
    begin(left, len(left))
    for n in range(times):
        matmul_of_series(left, packed, out, n % 2 == 1)
    end(left)


_CHUNK_WORDS: Final = 256
"""Words of inner indices of `matmul_tn` in one pass: a panel of them, 32 kB, stays in the L1 cache
or next to it."""
_CHUNK_COLUMNS: Final = 128
"""Columns of `matmul_tn` in one pass: what a pass reads repeatedly stays in the L2 cache."""


@inline
def matmul_tn(  # noqa: PLR0917 - compiled code takes them by position
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
    inner, values = len(left), values_per_word(left)
    # Sums of one pass, transposed into `out` later. Their rows do not lie a power of two apart.
    width = round_up(_CHUNK_COLUMNS, PANEL)
    sums_width = width + WORDS_PER_LINE
    sums = empty_words(columns * sums_width).view(np.float32)
    packed = empty_words(width * _CHUNK_WORDS)
    line, sums_row = transposed_row_words(inner, left) * WORD_BYTES, sums_width * WORD_BYTES
    begin(left, columns)
    for start in range(0, rows, width):
        count = min(width, rows - start)
        n = round_up(count, PANEL)
        for k in range(0, inner, _CHUNK_WORDS * values):
            chunk = left[k : min(inner, k + _CHUNK_WORDS * values)]
            pack(chunk, first + start, count, left, packed)
            words = words_of(len(chunk), left)
            rows_at = transposed.ctypes.data + k // values * WORD_BYTES
            places = packed.ctypes.data, sums.ctypes.data
            arguments = columns, n, words, rows_at, line, places[0], places[1], sums_row, False
            if k:
                _add_product(left, arguments)
            else:
                multiply(left, arguments)
        # A cache line of columns of `out` at a time.
        for column in range(0, columns, WORDS_PER_LINE):
            for row in range(count):
                total = out[start + row]
                for c in range(column, min(column + WORDS_PER_LINE, columns)):
                    total[c] = sums[c * sums_width + row]
    end(left)
