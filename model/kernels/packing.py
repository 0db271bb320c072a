"""Layouts of a right matrix, so that a product reads it from the first byte to the last. Numba.

Letters: M rows, N columns, K inner indices, S streams; arrays are row-major. A pair is a uint32
with two bfloat16 whose inner indices are neighbours, the lower one in the lower half.

Two layouts of a right matrix [K, N] in pairs, K padded with zeros to a multiple of
`INNER_MULTIPLE`:

- rows, without AMX: [K / 2, N + ROW_PADDING];
- panels, with AMX or for many streams: [N / PANEL, K / 2, PANEL], N padded with zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from model.kernels.cpu import HAS_AMX
from model.kernels.dtypes import WORD_BYTES, Array, FloatArray, bfloat16_bits, to_bfloat16
from model.kernels.jit import inline

PAIR_LANES: Final = 16
"""Pairs of a vector, and float32 sums of one."""
PANEL: Final = 2 * PAIR_LANES
"""Columns of a panel: two vectors, or two AMX tiles. A panel is contiguous, so that a product reads
it from the first byte to the last, which is when memory is fastest."""
ROWS_PER_BLOCK: Final = 8
"""Rows of a register block: with two vectors of columns, 16 of the 32 vector registers are sums."""
ROW_PADDING: Final = PAIR_LANES
"""Unused columns at the end of each row. Without them, the rows of a matrix whose width is a power
of two would all fall onto the same few sets of the cache."""
TILE_DEPTH: Final = 32
"""Inner indices of an AMX tile."""
TILE_ROWS: Final = 16
"""Rows of an AMX tile, and columns of its sums."""
CACHE_LINE: Final = 64
"""Bytes of a cache line, and of a row of an AMX tile."""
PANEL_ROW_BYTES: Final = 2 * CACHE_LINE
"""Bytes of one row of pairs in a panel: two tiles lie side by side."""
PANEL_STEP_BYTES: Final = TILE_ROWS * PANEL_ROW_BYTES
"""Bytes of a panel for `TILE_DEPTH` inner indices."""
INNER_MULTIPLE: Final = TILE_DEPTH if HAS_AMX else 2
"""K is padded to a multiple of this: whole AMX tiles, otherwise whole pairs."""
_PAIRS_PER_LINE: Final = CACHE_LINE // WORD_BYTES


@inline
def empty_words(count: int) -> Array:
    """Returns an uninitialised uint32 [count] that begins with a cache line."""
    room = np.empty(count + _PAIRS_PER_LINE, np.uint32)
    start = (CACHE_LINE - room.ctypes.data % CACHE_LINE) // WORD_BYTES
    return room[start : start + count]


def packed_size(columns: int, inner: int) -> int:
    """Returns the number of pairs in a packed matrix [K, N].

    Args:
        columns: N.
        inner: K.
    """
    if HAS_AMX:
        padded_columns = (columns + PANEL - 1) // PANEL * PANEL
        return (inner + TILE_DEPTH - 1) // TILE_DEPTH * TILE_ROWS * padded_columns
    return (inner + 1) // 2 * (columns + ROW_PADDING)


def transposed_size(columns: int, inner: int) -> int:
    """Returns the number of pairs that `transpose` writes for a matrix [K, N].

    Args:
        columns: N.
        inner: K.
    """
    if HAS_AMX:
        return columns * ((inner + TILE_DEPTH - 1) // TILE_DEPTH * TILE_ROWS + _PAIRS_PER_LINE)
    return packed_size(columns, inner)


_packed_size = inline(packed_size)


@inline
def empty_packed(columns: int, inner: int) -> Array:
    """Returns an uninitialised uint32 array for a packed matrix [K, N]; see `packed_size`."""
    return empty_words(_packed_size(columns, inner))


@inline
def empty_transposed(columns: int, inner: int) -> Array:
    """Returns an uninitialised uint32 array for `transpose`; see `transposed_size`."""
    if HAS_AMX:
        return empty_words(columns * transposed_row_pairs(inner))
    return empty_packed(columns, inner)


def _pair(first: Any, second: Any) -> Any:
    """Returns two numbers as a pair, the first in the lower half; compiled code only."""
    raise NotImplementedError


@overload(_pair)
def _typed_pair(first: Any, second: Any) -> Any:  # noqa: ARG001 - both have one type
    def rounded(first: Any, second: Any) -> Any:
        upper = np.uint32(bfloat16_bits(second)) << np.uint32(16)
        return np.uint32(bfloat16_bits(first)) | np.uint32(upper)

    def joined(first: Any, second: Any) -> Any:
        return np.uint32(first) | np.uint32(np.uint32(second) << np.uint32(16))

    return joined if first == types.uint16 else rounded


@inline
def _clear_padding(columns: int, inner: int, out: Array) -> None:
    """Writes zeros to ``out``, uint32 panels, where a matrix [K, N] does not fill them."""
    pairs = round_up(inner, TILE_DEPTH) // 2
    for first in range(0, columns, PANEL):
        start = first // PANEL * PANEL * pairs
        # A partial panel is cleared whole, a full one from its last whole pair on.
        cleared = start if first + PANEL > columns else start + inner // 2 * PANEL
        for place in range(cleared, start + pairs * PANEL):
            out[place] = np.uint32(0)


@inline
def pack_transposed(matrix: Array, first: int, count: int, out: Array) -> None:
    """Packs N columns of a right matrix.

    Args:
        matrix: float32 or bfloat16 [K, first + N or more]; an odd K is padded with zeros.
        first: first of the columns.
        count: N.
        out: uint32, from `empty_packed`; written.
    """
    inner = len(matrix)
    # Rows: one step over all columns. Panels: a step of PANEL columns each.
    pairs, step, row_distance = inner // 2, count, count + ROW_PADDING
    panel = PANEL * (round_up(inner, TILE_DEPTH) // 2)
    if HAS_AMX:
        _clear_padding(count, inner, out)
        step, row_distance = PANEL, PANEL
    for r in range(pairs):
        for start in range(0, count, step):
            even, odd = matrix[2 * r, first + start :], matrix[2 * r + 1, first + start :]
            row = out[start // PANEL * panel + r * row_distance :]
            for j in range(min(step, count - start)):
                row[j] = _pair(even[j], odd[j])
    if inner % 2:
        for start in range(0, count, step):
            last, row = matrix[inner - 1, first + start :], out[start // PANEL * panel :]
            row = row[pairs * row_distance :]
            for j in range(min(step, count - start)):
                row[j] = _pair(last[j], last[j]) & np.uint32(0xFFFF)


@inline
def pack(matrix: Array, first: int, columns: int, out: Array) -> None:
    """Packs some columns of a right matrix [K, N] from rows of its transpose.

    Args:
        matrix: float32 [columns to pack, K], K even.
        first: index of its first row among the N columns; all before it are packed already.
        columns: N.
        out: uint32, from `empty_packed`; written.
    """
    count, inner = matrix.shape
    if HAS_AMX and first == 0:
        _clear_padding(columns, inner, out)
    start = 0
    while start < count:
        # At most 16 columns at once: they end with a cache line of every packed row.
        column = first + start
        end = min(count, start + TILE_ROWS - column % TILE_ROWS)
        place, row_distance = column, columns + ROW_PADDING
        if HAS_AMX:
            panel = PANEL * (round_up(inner, TILE_DEPTH) // 2)
            place, row_distance = column // PANEL * panel + column % PANEL, PANEL
        for r in range(inner // 2):
            row = out[place + r * row_distance :]
            for u in range(start, end):
                row[u - start] = _pair(matrix[u, 2 * r], matrix[u, 2 * r + 1])
        start = end


@inline
def transposed_row_pairs(inner: int) -> int:
    """Returns the pairs of a row that `transpose` writes for AMX.

    One cache line more than K needs, so that rows do not lie a power of two apart.
    """
    return round_up(inner, TILE_DEPTH) // 2 + _PAIRS_PER_LINE


@inline
def transpose(matrix: Array, first: int, last: int, out: Array) -> None:
    """Prepares a matrix [K, N] for `matmul_tn`: transposed in pairs for AMX, otherwise packed.

    Args:
        matrix: bfloat16 [K, N].
        first: first of the columns that this thread prepares; without AMX it prepares all.
        last: end of the columns.
        out: uint32, from `empty_transposed`; written. With AMX [N, transposed_row_pairs(K)].
    """
    inner, columns = matrix.shape
    if not HAS_AMX:
        pack_transposed(matrix, 0, columns, out)
        return
    line, pairs = transposed_row_pairs(inner), inner // 2
    # One panel of columns at a time: the rows of `out` written in turns then stay in the cache.
    for start in range(first, last, PANEL):
        end = min(start + PANEL, last)
        for r in range(pairs):
            even, odd = matrix[2 * r], matrix[2 * r + 1]
            for column in range(start, end):
                out[column * line + r] = _pair(even[column], odd[column])
        for column in range(start, end):
            for r in range(pairs, line):
                out[column * line + r] = np.uint32(0)
            if inner % 2:
                number = matrix[inner - 1, column]
                out[column * line + pairs] = _pair(number, number) & np.uint32(0xFFFF)


@inline
def round_up(count: int, multiple: int) -> int:
    """Rounds ``count`` up to a multiple of ``multiple``."""
    return (count + multiple - 1) // multiple * multiple


def pack_pairs(matrix: FloatArray) -> npt.NDArray[np.uint16]:
    """Packs the right matrix of ``x @ matrix.T`` as rows; returns bfloat16 [K / 2, N, 2].

    Args:
        matrix: float32 [N, K], K even.
    """
    columns, inner = matrix.shape
    return np.ascontiguousarray(
        to_bfloat16(matrix).reshape(columns, inner // 2, 2).transpose(1, 0, 2)
    )


def pack_pair_panels(matrix: FloatArray) -> npt.NDArray[np.uint16]:
    """Packs the right matrix of ``x @ matrix.T`` as panels, [N / PANEL, K / 2, PANEL, 2].

    Args:
        matrix: float32 [N, K], K even, N a multiple of `PANEL`.
    """
    columns, inner = matrix.shape
    panels = to_bfloat16(matrix).reshape(columns // PANEL, PANEL, inner // 2, 2)
    return np.ascontiguousarray(panels.transpose(0, 2, 1, 3))


def aligned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns a copy that begins with a cache line."""
    room = np.empty(array.nbytes + CACHE_LINE, np.uint8)
    start = -room.ctypes.data % CACHE_LINE
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def pack_for_decoding(matrices: Sequence[FloatArray], streams: int) -> npt.NDArray[np.uint16]:
    """Packs right matrices for `matmul_by_address`, one after the other.

    Args:
        matrices: float32 [N, K] each; N are multiples of `PANEL`, K of `INNER_MULTIPLE`.
        streams: S, the rows of the left matrices. For few rows without AMX a product reads eight
            vectors of one row at once, which lie side by side only in rows.
    """
    in_panels = HAS_AMX or streams >= ROWS_PER_BLOCK
    pack_one = pack_pair_panels if in_panels else pack_pairs
    return aligned(np.concatenate([pack_one(matrix).reshape(-1) for matrix in matrices]))
