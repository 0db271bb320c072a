"""The layout of a right matrix, so that a product reads it from the first byte to the last. Numba.

A float32 and a pair of bfloat16 are both one word of four bytes. The numbers of a pair have
neighbouring inner indices, the lower one in the lower half. A packed matrix [K, N] is words
[N / PANEL, K, PANEL], or [N / PANEL, K / 2, PANEL] of pairs, flat, in uint32. Zeros fill N up to
whole panels, and K to `padded_depth`.

Letters: M rows, N columns, K inner indices; arrays are row-major. ``like`` is an array of the
numbers that are multiplied, float32 or bits of bfloat16 in uint16; only its dtype matters.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from model.kernels.cpu import HAS_AMX, LANES
from model.kernels.dtypes import (
    WORD_BYTES,
    Array,
    FloatArray,
    generate_bfloat16,
    stored_like,
    to_bfloat16,
    to_float32,
)
from model.kernels.ir import FLOAT, SHORT, WORD, View, generated, integer, steps
from model.kernels.jit import inline, inline_too

PANEL: Final = 2 * LANES
"""Columns of a panel: two vectors, or two AMX tiles. A panel is contiguous, so that a product reads
it from the first byte to the last, which is when memory is fastest."""
CACHE_LINE: Final = 64
"""Bytes of a cache line, and of a row of an AMX tile."""
WORDS_PER_LINE: Final = CACHE_LINE // WORD_BYTES
PAIRED_DEPTH: Final = 32 if HAS_AMX else 2
"""K of bfloat16 is padded to a multiple of this: whole AMX tiles, otherwise whole pairs."""


@inline_too
def round_up(count: int, multiple: int) -> int:
    """Rounds ``count`` up to a multiple of ``multiple``."""
    return (count + multiple - 1) // multiple * multiple


@inline_too
def padded_depth(inner: int, itemsize: int) -> int:
    """Returns K padded for products of numbers of 4 or 2 bytes."""
    return round_up(inner, PAIRED_DEPTH) if itemsize < WORD_BYTES else inner


@inline_too
def words_of(inner: int, itemsize: int) -> int:
    """Returns the words of K padded inner indices."""
    return padded_depth(inner, itemsize) * itemsize // WORD_BYTES


@inline_too
def packed_words(columns: int, inner: int, itemsize: int) -> int:
    """Returns the words of a packed matrix [K, N]."""
    return round_up(columns, PANEL) * words_of(inner, itemsize)


@inline_too
def transposed_row_words(inner: int, itemsize: int) -> int:
    """Returns the words of a row that `transpose` writes.

    One cache line more than K needs, so that rows do not lie a power of two apart.
    """
    return round_up(words_of(inner, itemsize), WORDS_PER_LINE) + WORDS_PER_LINE


@inline
def empty_words(count: int) -> Array:
    """Returns an uninitialised uint32 [count] that begins with a cache line."""
    room = np.empty(count + WORDS_PER_LINE, np.uint32)
    start = (CACHE_LINE - room.ctypes.data % CACHE_LINE) // WORD_BYTES
    return room[start : start + count]


@inline
def _half_word(number: Any, like: Array) -> Any:
    """Returns the word of the last number of an odd K, which has no second one."""
    return np.uint32(stored_like(to_float32(number), like))


def _load_words(
    builder: Any, by_rows: bool, lanes: int, source: View, like: View, row: Any, column: Any
) -> Any:
    """Generates the load of a vector of words, whose numbers are stored as ``like`` stores them.

    Args:
        builder: of LLVM code.
        by_rows: whether the numbers of a pair lie in two rows of the source, not side by side.
        lanes: words of the vector.
        source: float32 or bfloat16 [rows, columns]; bfloat16 only if ``like`` is.
        like: float32 or bfloat16.
        row: of words.
        column: of words, the first of the vector.
    """

    def load(row: Any, column: Any, element: Any, count: int) -> Any:
        first = source.at(row).after(column)
        return builder.load(first.pointer(ir.VectorType(element, count)), align=first.itemsize)

    def halves(row: Any, column: Any, count: int) -> Any:
        if source.dtype == types.uint16:
            return load(row, column, SHORT, count)
        return generate_bfloat16(builder, load(row, column, FLOAT, count))

    kind, one = ir.VectorType(WORD, lanes), integer(1)
    if like.dtype == types.float32:
        return load(row, column, WORD, lanes)
    if not by_rows:
        return builder.bitcast(halves(row, builder.shl(column, one), 2 * lanes), kind)
    row = builder.shl(row, one)
    lower, upper = (halves(place, column, lanes) for place in (row, builder.add(row, one)))
    upper = builder.shl(builder.zext(upper, kind), ir.Constant(kind, [16] * lanes))
    return builder.or_(builder.zext(lower, kind), upper)


def _generate_move(
    by_rows: bool, transposed: bool, builder: Any, source: View, like: View, out: View
) -> None:
    """Generates ``out[i, j] = source[i, j]``, or ``out[j, i]``, of words, in blocks of vectors.

    In Numba's loops the processor waits for one row from memory after the other; a block has as
    many rows under way as a vector has lanes. The last block of a row or column overlaps the one
    before it, and a source smaller than a block is moved word by word.

    Args:
        by_rows: see `_load_words`.
        transposed: whether rows of the source become columns.
        builder: of LLVM code.
        source: see `_load_words`.
        like: see `_load_words`.
        out: of words or float32, two-dimensional; written.
    """
    values = integer(WORD_BYTES // like.itemsize)
    rows, columns = (
        builder.udiv(count, values) if halved else count
        for count, halved in zip(source.shape, (by_rows, not by_rows), strict=True)
    )

    def in_blocks(lanes: int) -> None:
        size, places = integer(lanes), [integer(n) for n in range(lanes)]
        across, down = (steps(builder, integer(0), n, size) for n in (columns, rows))
        with across as (j, _), down as (i, _):
            column = _smaller(builder, j, builder.sub(columns, size))
            row = _smaller(builder, i, builder.sub(rows, size))
            vectors = [
                _load_words(builder, by_rows, lanes, source, like, builder.add(row, n), column)
                for n in places
            ]
            if transposed:
                vectors, row, column = _transposed(builder, vectors), column, row
            for n, vector in zip(places, vectors, strict=True):
                first = out.at(builder.add(row, n)).after(column)
                builder.store(vector, first.pointer(vector.type), align=WORD_BYTES)

    is_large = builder.icmp_signed(">=", _smaller(builder, rows, columns), integer(LANES))
    with builder.if_else(is_large) as both:
        for part, lanes in zip(both, (LANES, 1), strict=True):
            with part:
                in_blocks(lanes)


def _smaller(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def _transposed(builder: Any, vectors: list[Any]) -> list[Any]:
    """Generates the transposition of as many vectors of words as they have lanes.

    Columns of one vector change places with those of another, half of the lanes apart, then a
    quarter, and so on.
    """
    lanes = half = len(vectors)
    while half := half // 2:
        own = [n - half + lanes if n & half else n for n in range(lanes)]
        kind = ir.VectorType(WORD, lanes)
        masks = [ir.Constant(kind, [n + step for n in own]) for step in (0, half)]
        for n in range(lanes):
            if not n & half:
                both = vectors[n], vectors[n + half]
                vectors[n], vectors[n + half] = (builder.shuffle_vector(*both, m) for m in masks)
    return vectors


_pack_pairs, _transpose_pairs, transpose_words = (
    generated(partial(_generate_move, *kind))
    for kind in ((True, False), (True, True), (False, True))
)
"""``transpose_words(matrix, matrix, out)`` writes ``out = matrix.T`` of float32."""


@inline
def pack(matrix: Array, first: int, columns: int, like: Array, out: Array) -> None:
    """Packs N columns of a matrix as a right matrix [K, N].

    Args:
        matrix: float32 or bfloat16 [K, first + N or more]; bfloat16 only if ``like`` is.
        first: first of the columns.
        columns: N.
        like: dtype of the packed numbers.
        out: uint32 [`packed_words`]; written.
    """
    inner, values = len(matrix), WORD_BYTES // like.itemsize
    whole, words = inner // values, words_of(inner, like.itemsize)
    if columns % PANEL or words > whole:
        out[: packed_words(columns, inner, like.itemsize)] = np.uint32(0)
    for start in range(0, columns, PANEL):
        panel = out[start * words : (start + PANEL) * words].reshape(words, PANEL)
        part = matrix[:, first + start : first + min(start + PANEL, columns)]
        _pack_pairs(part, like, panel)
        for j in range(part.shape[1] if inner % values else 0):
            panel[whole, j] = _half_word(part[inner - 1, j], like)


@inline
def pack_transposed(matrix: Array, first: int, columns: int, like: Array, out: Array) -> None:
    """Packs some columns of a right matrix [K, N] from rows of its transpose.

    Args:
        matrix: float32 [columns to pack, K].
        first: index of its first row among the N columns; 0 clears what N and K leave unused.
        columns: N.
        like: dtype of the packed numbers.
        out: uint32 [`packed_words`]; written.
    """
    count, inner = matrix.shape
    values, words = WORD_BYTES // like.itemsize, words_of(inner, like.itemsize)
    if first == 0 and (columns % PANEL or words * values > inner):
        out[:] = np.uint32(0)
    for start in range(first // PANEL * PANEL, first + count, PANEL):
        column = max(first, start)
        panel = out[start * words : (start + PANEL) * words].reshape(words, PANEL)
        part, place = matrix[column - first : start + PANEL - first], panel[:, column - start :]
        transpose_words(part, like, place)
        for u in range(len(part) if inner % values else 0):
            place[inner // values, u] = _half_word(part[u, inner - 1], like)


@inline
def transpose(matrix: Array, first: int, last: int, out: Array) -> None:
    """Transposes a matrix [K, N] into the left operand of `matmul_tn`.

    Args:
        matrix: float32 or bfloat16 [K, N].
        first: first of the columns that this thread transposes.
        last: end of the columns.
        out: uint32 [N, transposed_row_words(K)], flat; rows ``first`` to ``last`` are written.
    """
    inner, values = len(matrix), WORD_BYTES // matrix.itemsize
    whole, line = inner // values, transposed_row_words(inner, matrix.itemsize)
    rows = out[first * line : last * line].reshape(last - first, line)
    _transpose_pairs(matrix[:, first:last], matrix, rows)
    rows[:, whole:] = np.uint32(0)
    for column in range(first, last if inner % values else first):
        rows[column - first, whole] = _half_word(matrix[inner - 1, column], matrix)


def pack_array(matrix: FloatArray, dtype: np.dtype[Any]) -> npt.NDArray[np.uint32]:
    """Packs the right matrix of ``x @ matrix.T`` in NumPy.

    Args:
        matrix: float32 [N, K].
        dtype: of the packed numbers, float32 or uint16 for bfloat16.
    """
    columns, inner = matrix.shape
    depth = padded_depth(inner, dtype.itemsize)
    padded = np.pad(matrix, ((0, -columns % PANEL), (0, depth - inner)))
    numbers = padded if dtype == np.float32 else to_bfloat16(padded)
    words = np.ascontiguousarray(numbers).view(np.uint32)
    panels = words.reshape(len(padded) // PANEL, PANEL, words_of(inner, dtype.itemsize))
    return np.ascontiguousarray(panels.transpose(0, 2, 1)).reshape(-1)


def aligned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns a copy that begins with a cache line."""
    room = np.empty(array.nbytes + CACHE_LINE, np.uint8)
    start = -room.ctypes.data % CACHE_LINE
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
