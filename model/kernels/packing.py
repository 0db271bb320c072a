"""Layouts of a right matrix, so that a product reads it from the first byte to the last. Numba.

Training packs into arrays of uint32, each a pair of bfloat16 with neighbouring inner indices. With
AMX they lie in panels of `PANEL` columns, padded with zeros; else row by row with `ROW_PADDING`
extra columns. Letters: M rows, N columns, K inner indices; arrays are row-major.
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
"""Sums of a vector."""
PANEL: Final = 2 * PAIR_LANES
"""Columns that lie together in a matrix that stays the same: it is then read from the first byte to
the last, which is when memory is fastest."""
ROWS_PER_BLOCK: Final = 8
ROW_PADDING: Final = PAIR_LANES
"""Columns more than count, so that the rows of a matrix whose width is a power of two do not all
fall onto the same lines of the cache."""
DEPTH: Final = 32
"""Inner indices of a tile."""
TILE_ROWS: Final = 16
"""Rows of a tile, and columns of its sums."""
LINE: Final = 64
"""Bytes of a line of the cache, and of a tile's row."""
PANEL_LINE: Final = 2 * LINE
PANEL_STEP: Final = TILE_ROWS * PANEL_LINE
"""Bytes of a panel's pairs, of one row and of a tile's: two tiles lie side by side."""
INNER_STEP: Final = DEPTH if HAS_AMX else 2
"""Inner indices are filled up to a multiple of so many."""
_PAIRS_OF_A_LINE: Final = LINE // WORD_BYTES


@inline
def empty_pairs(count: int) -> Array:
    """Returns room for so many pairs, or float32; it begins with a line of the cache."""
    room = np.empty(count + _PAIRS_OF_A_LINE, np.uint32)
    start = (LINE - room.ctypes.data % LINE) // WORD_BYTES
    return room[start : start + count]


def packed_size(columns: int, inner: int) -> int:
    """Returns how many pairs a packed matrix takes."""
    if HAS_AMX:
        return (inner + DEPTH - 1) // DEPTH * TILE_ROWS * ((columns + PANEL - 1) // PANEL * PANEL)
    return (inner + 1) // 2 * (columns + ROW_PADDING)


def transposed_size(columns: int, inner: int) -> int:
    """Returns how many pairs `transpose` writes of a matrix [K, N]."""
    if HAS_AMX:
        return columns * ((inner + DEPTH - 1) // DEPTH * TILE_ROWS + _PAIRS_OF_A_LINE)
    return packed_size(columns, inner)


_packed_size = inline(packed_size)


@inline
def empty_packed(columns: int, inner: int) -> Array:
    """Returns room for a packed matrix."""
    return empty_pairs(_packed_size(columns, inner))


@inline
def empty_transposed(columns: int, inner: int) -> Array:
    """Returns room for what `transpose` writes of a matrix [K, N]."""
    if HAS_AMX:
        return empty_pairs(columns * _transposed_line(inner))
    return empty_packed(columns, inner)


def _pair(first: Any, second: Any) -> Any:
    """Returns two numbers as bfloat16, the first in the lower half of an uint32; compiled only."""
    raise NotImplementedError


@overload(_pair)
def _pair_of_type(first: Any, second: Any) -> Any:  # noqa: ARG001 - both are of one type
    def rounded(first: Any, second: Any) -> Any:
        upper = np.uint32(bfloat16_bits(second)) << np.uint32(16)
        return np.uint32(bfloat16_bits(first)) | np.uint32(upper)

    def as_they_are(first: Any, second: Any) -> Any:
        return np.uint32(first) | np.uint32(np.uint32(second) << np.uint32(16))

    return as_they_are if first == types.uint16 else rounded


@inline
def _clear_edges(columns: int, inner: int, out: Array) -> None:
    """Puts zeros where a matrix does not fill its panels."""
    pairs, panel = round_up(inner, DEPTH) // 2, PANEL * (round_up(inner, DEPTH) // 2)
    for first in range(0, columns, PANEL):
        start = first // PANEL * panel
        begun = start if first + PANEL > columns else start + inner // 2 * PANEL
        for place in range(begun, start + pairs * PANEL):
            out[place] = np.uint32(0)


@inline
def pack_transposed(matrix: Array, first: int, count: int, out: Array) -> None:
    """Packs some columns of a right matrix.

    Args:
        matrix: [K, at least as many], float32 or bfloat16; if K is odd, zeros are added.
        first: of the columns.
        count: N, of the columns.
        out: of `empty_packed`; written.
    """
    inner = len(matrix)
    whole, step, distance = inner // 2, count, count + ROW_PADDING
    panel = PANEL * (round_up(inner, DEPTH) // 2)
    if HAS_AMX:
        _clear_edges(count, inner, out)
        step, distance = PANEL, PANEL
    for r in range(whole):
        for start in range(0, count, step):
            even, odd = matrix[2 * r, first + start :], matrix[2 * r + 1, first + start :]
            row = out[start // PANEL * panel + r * distance :]
            for j in range(min(step, count - start)):
                row[j] = _pair(even[j], odd[j])
    if inner % 2:
        for start in range(0, count, step):
            last, row = matrix[inner - 1, first + start :], out[start // PANEL * panel :]
            row = row[whole * distance :]
            for j in range(min(step, count - start)):
                row[j] = _pair(last[j], last[j]) & np.uint32(0xFFFF)


@inline
def pack(matrix: Array, first: int, columns: int, out: Array) -> None:
    """Packs some columns of a right matrix that is given as its transpose.

    Args:
        matrix: float32 [so many, K], K even.
        first: its place among the columns; those before it are packed.
        columns: N, of the whole right matrix.
        out: of `empty_packed`; written.
    """
    count, inner = matrix.shape
    if HAS_AMX and first == 0:
        _clear_edges(columns, inner, out)
    start = 0
    while start < count:
        column = first + start
        end = min(count, start + TILE_ROWS - column % TILE_ROWS)
        place, distance = column, columns + ROW_PADDING
        if HAS_AMX:
            panel = PANEL * (round_up(inner, DEPTH) // 2)
            place, distance = column // PANEL * panel + column % PANEL, PANEL
        for r in range(inner // 2):
            row = out[place + r * distance :]
            for u in range(start, end):
                row[u - start] = _pair(matrix[u, 2 * r], matrix[u, 2 * r + 1])
        start = end


@inline
def _transposed_line(inner: int) -> int:
    """Returns the pairs of a row of a turned matrix: rows are no power of two apart."""
    return round_up(inner, DEPTH) // 2 + _PAIRS_OF_A_LINE


@inline
def transpose(matrix: Array, first: int, last: int, out: Array) -> None:
    """Prepares a matrix for `matmul_tn`: for the matrix unit its transpose, else packed.

    Args:
        matrix: bfloat16 [K, N].
        first: of its columns that this thread prepares; without the unit all are.
        last: their end.
        out: of `empty_transposed`; written.
    """
    inner, columns = matrix.shape
    if not HAS_AMX:
        pack_transposed(matrix, 0, columns, out)
        return
    line, pairs = _transposed_line(inner), inner // 2
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
    """Returns the least multiple that is so many or more."""
    return (count + multiple - 1) // multiple * multiple


def pack_pairs(matrix: FloatArray) -> npt.NDArray[np.uint16]:
    """Returns a matrix [N, K] as the right one that ``x @ matrix.T`` takes, [K / 2, N, 2].

    Args:
        matrix: K is even.
    """
    columns, inner = matrix.shape
    return np.ascontiguousarray(
        to_bfloat16(matrix).reshape(columns, inner // 2, 2).transpose(1, 0, 2)
    )


def pack_pair_panels(matrix: FloatArray) -> npt.NDArray[np.uint16]:
    """Returns the same as `matmul_pair_panels` takes it, [N / PANEL, K / 2, PANEL, 2].

    Args:
        matrix: K is even, N a multiple of `PANEL`.
    """
    columns, inner = matrix.shape
    parts = to_bfloat16(matrix).reshape(columns // PANEL, PANEL, inner // 2, 2)
    return np.ascontiguousarray(parts.transpose(0, 2, 1, 3))


def aligned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns a copy that begins with a line of the cache."""
    room = np.empty(array.nbytes + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def pack_for_decoding(matrices: Sequence[FloatArray], streams: int) -> npt.NDArray[np.uint16]:
    """Packs matrices [N, K] for `matmul_by_address`, one after the other.

    Args:
        matrices: N are multiples of `PANEL`, K of `INNER_STEP`.
        streams: S.
    """
    in_panels = HAS_AMX or streams >= ROWS_PER_BLOCK
    pack_one = pack_pair_panels if in_panels else pack_pairs
    return aligned(np.concatenate([pack_one(matrix).reshape(-1) for matrix in matrices]))
