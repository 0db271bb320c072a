"""Products of a training in bfloat16: by a matrix unit where there is one, else in pairs. Numba.

Right matrices are packed first, into arrays of uint32: each is a pair of numbers with neighbouring
inner indices. For the unit they lie in panels (``model.pair_product``), filled up with zeros, else
row by row with `SPARE` columns. Letters: M rows, N columns, K inner indices; 2-D arrays lie row by
row.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from model.cell_kernels import bfloat16_bits
from model.compiled import compiled
from model.matrix_unit import (
    DEPTH,
    LINE,
    PANEL_STEP,
    ROWS,
    add_tiles,
    let_go,
    multiply_tiles,
    set_up,
)
from model.pair_product import PANEL, SPARE, multiply_pairs, up_to
from model.processor import HAS_MATRIX_UNIT

Array = npt.NDArray[Any]

_BITS, _PAIR, _NUMBER = 2, 4, 4
"""Bytes of a bfloat16, of two of them and of a float32."""
_PAIRS_OF_A_LINE: Final = LINE // _PAIR
_CHUNK: Final = 512
"""Inner indices of a long product that are gone through at once: with them panels stay in the
first-level cache."""
_COLUMNS_AT_ONCE: Final = 128
"""Columns of it: with them what is read again and again stays in the second-level cache."""


@compiled
def empty_pairs(count: int) -> Array:
    """Returns room for so many pairs, or float32; it begins with a line of the cache."""
    room = np.empty(count + _PAIRS_OF_A_LINE, np.uint32)
    start = (LINE - room.ctypes.data % LINE) // _PAIR
    return room[start : start + count]


def packed_size(columns: int, inner: int) -> int:
    """Returns how many pairs a packed matrix takes."""
    if HAS_MATRIX_UNIT:
        return (inner + DEPTH - 1) // DEPTH * ROWS * ((columns + PANEL - 1) // PANEL * PANEL)
    return (inner + 1) // 2 * (columns + SPARE)


def turned_size(columns: int, inner: int) -> int:
    """Returns how many pairs `turn` writes of a matrix [K, N]."""
    if HAS_MATRIX_UNIT:
        return columns * ((inner + DEPTH - 1) // DEPTH * ROWS + _PAIRS_OF_A_LINE)
    return packed_size(columns, inner)


_packed_size = compiled(packed_size)


@compiled
def room_for(columns: int, inner: int) -> Array:
    """Returns room for a packed matrix."""
    return empty_pairs(_packed_size(columns, inner))


@compiled
def room_for_turned(columns: int, inner: int) -> Array:
    """Returns room for what `turn` writes of a matrix [K, N]."""
    if HAS_MATRIX_UNIT:
        return empty_pairs(columns * _turned_line(inner))
    return room_for(columns, inner)


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


@compiled
def _clear_edges(columns: int, inner: int, out: Array) -> None:
    """Puts zeros where a matrix does not fill its panels."""
    pairs, panel = up_to(inner, DEPTH) // 2, PANEL * (up_to(inner, DEPTH) // 2)
    for first in range(0, columns, PANEL):
        start = first // PANEL * panel
        begun = start if first + PANEL > columns else start + inner // 2 * PANEL
        for place in range(begun, start + pairs * PANEL):
            out[place] = np.uint32(0)


@compiled
def pack_rows(matrix: Array, first: int, count: int, out: Array) -> None:
    """Packs some columns of a right matrix.

    Args:
        matrix: [K, at least as many], float32 or bfloat16; if K is odd, zeros are added.
        first: of the columns.
        count: N, of the columns.
        out: of `room_for`; written.
    """
    inner = len(matrix)
    whole, step, distance = inner // 2, count, count + SPARE
    panel = PANEL * (up_to(inner, DEPTH) // 2)
    if HAS_MATRIX_UNIT:
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


@compiled
def pack_columns(matrix: Array, first: int, columns: int, out: Array) -> None:
    """Packs some columns of a right matrix that is given as its transpose.

    Args:
        matrix: float32 [so many, K], K even.
        first: its place among the columns; those before it are packed.
        columns: N, of the whole right matrix.
        out: of `room_for`; written.
    """
    count, inner = matrix.shape
    if HAS_MATRIX_UNIT and first == 0:
        _clear_edges(columns, inner, out)
    start = 0
    while start < count:
        column = first + start
        end = min(count, start + ROWS - column % ROWS)
        place, distance = column, columns + SPARE
        if HAS_MATRIX_UNIT:
            panel = PANEL * (up_to(inner, DEPTH) // 2)
            place, distance = column // PANEL * panel + column % PANEL, PANEL
        for r in range(inner // 2):
            row = out[place + r * distance :]
            for u in range(start, end):
                row[u - start] = _pair(matrix[u, 2 * r], matrix[u, 2 * r + 1])
        start = end


@compiled
def multiply_packed(left: Array, right: Array, columns: int, out: Array, backwards: bool) -> None:
    """Puts a left matrix times a packed right one into ``out``.

    Between `set_up` for as many rows and `let_go` of ``model.matrix_unit``.

    Args:
        left: bfloat16 [M, K], K even.
        right: packed.
        columns: N.
        out: float32 [M, N], written.
        backwards: whether to begin with what the time before ended with, if it began with the
            first columns: of a matrix that a cache cannot hold it holds what was read last.
    """
    rows, inner = left.shape
    if not HAS_MATRIX_UNIT:
        places, line = (left.ctypes.data, right.ctypes.data, out.ctypes.data), inner * _BITS
        pairs, wide = inner // 2, columns + SPARE
        multiply_pairs(
            rows, columns, pairs, places[0], line, _PAIR, places[1], wide, places[2]
        )  # fmt: skip
        return
    deep, wide = up_to(inner, DEPTH), up_to(columns, PANEL)
    whole, sums = left, out
    if deep > inner:
        whole = empty_pairs(rows * deep // 2).view(np.uint16).reshape(rows, deep)
        whole[:, :inner] = left
        whole[:, inner:] = np.uint16(0)
    if wide > columns:
        sums = empty_pairs(rows * wide).view(np.float32).reshape(rows, wide)
    steps = deep // DEPTH
    places = whole.ctypes.data, right.ctypes.data, sums.ctypes.data
    line, panel = deep * _BITS, steps * PANEL_STEP
    multiply_tiles(
        rows, wide, steps, places[0], line, places[1], panel, places[2], wide * _NUMBER, backwards
    )
    if wide > columns:
        out[:] = sums[:, :columns]


@compiled
def multiply(left: Array, right: Array, columns: int, out: Array) -> None:
    """Does what `multiply_packed` does, once."""
    set_up(len(left))
    multiply_packed(left, right, columns, out, False)
    let_go()


@compiled
def _turned_line(inner: int) -> int:
    """Returns the pairs of a row of a turned matrix: rows are no power of two apart."""
    return up_to(inner, DEPTH) // 2 + _PAIRS_OF_A_LINE


@compiled
def turn(matrix: Array, first: int, last: int, out: Array) -> None:
    """Prepares a matrix for `multiply_sides`: for the matrix unit its transpose, else packed.

    Args:
        matrix: bfloat16 [K, N].
        first: of its columns that this thread prepares; without the unit all are.
        last: their end.
        out: of `room_for_turned`; written.
    """
    inner, columns = matrix.shape
    if not HAS_MATRIX_UNIT:
        pack_rows(matrix, 0, columns, out)
        return
    line, pairs = _turned_line(inner), inner // 2
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


@compiled
def multiply_sides(  # noqa: PLR0917 - compiled code takes them by position
    inner: int, left: Array, rows: int, right: Array, columns: int, out: Array
) -> None:
    """Puts the transpose of a left [K, M] times a right matrix [K, N] into ``out`` [M, N].

    Args:
        inner: K.
        left: as `pack_rows` packed it.
        rows: M.
        right: as `turn` left it.
        columns: N.
        out: written.
    """
    if not HAS_MATRIX_UNIT:
        pairs, places = (inner + 1) // 2, (left.ctypes.data, right.ctypes.data, out.ctypes.data)
        step, wide = (rows + SPARE) * _PAIR, columns + SPARE
        multiply_pairs(
            rows, columns, pairs, places[0], _PAIR, step, places[1], wide, places[2]
        )  # fmt: skip
        return
    # The other way round, for the left one is the larger: [N, K] [K, M], some columns at a time.
    wide = _COLUMNS_AT_ONCE + SPARE
    sums = empty_pairs(columns * wide).view(np.float32)
    deep, line = up_to(inner, DEPTH), _turned_line(inner) * _PAIR
    panel, place, width = deep // DEPTH * PANEL_STEP, sums.ctypes.data, wide * _NUMBER
    set_up(columns)
    for first in range(0, rows, _COLUMNS_AT_ONCE):
        count = min(_COLUMNS_AT_ONCE, rows - first)
        filled = up_to(count, PANEL)
        for start in range(0, deep, _CHUNK):
            steps = min(_CHUNK, deep - start) // DEPTH
            turned = right.ctypes.data + start * _BITS
            packed = left.ctypes.data + first // PANEL * panel + start // DEPTH * PANEL_STEP
            if start:
                add_tiles(columns, filled, steps, turned, line, packed, panel, place, width, False)
            else:
                multiply_tiles(
                    columns, filled, steps, turned, line, packed, panel, place, width, False
                )
        for start in range(0, columns, ROWS):
            for row in range(count):
                total = out[first + row]
                for column in range(start, min(start + ROWS, columns)):
                    total[column] = sums[column * wide + row]
    let_go()
