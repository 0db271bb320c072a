"""The layout of a right matrix, so that a product reads it from the first byte to the last. Numba.

A float32 and a pair of bfloat16 are both one word of four bytes. The numbers of a pair have
neighbouring inner indices, the lower one in the lower half. A packed matrix [K, N] is words
[N / PANEL, K, PANEL], or [N / PANEL, K / 2, PANEL] of pairs, flat, in uint32. Zeros fill N up to
whole panels, and K to `padded_depth`.

Letters: M rows, N columns, K inner indices; arrays are row-major. ``like`` is an array of the
numbers that are multiplied, float32 or bits of bfloat16 in uint16; only its dtype matters.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from model.kernels.cpu import HAS_AMX, LANES
from model.kernels.dtypes import WORD_BYTES, Array, FloatArray, bfloat16_bits, by_type, to_bfloat16
from model.kernels.ir import SHORT, WORD, View, counted_loop, generated, integer, moved, pointer
from model.kernels.jit import inline, inline_too

PANEL: Final = 2 * LANES
"""Columns of a panel: two vectors, or two AMX tiles. A panel is contiguous, so that a product reads
it from the first byte to the last, which is when memory is fastest."""
CACHE_LINE: Final = 64
"""Bytes of a cache line, and of a row of an AMX tile."""
WORDS_PER_LINE: Final = CACHE_LINE // WORD_BYTES
_RUN: Final = min(PANEL, WORDS_PER_LINE)
"""Most columns that `pack_transposed` packs together."""
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


@by_type
def _word(first: Any, second: Any, like: Any) -> Any:
    """Returns a number, or two as a pair with the first in the lower half."""

    def number(first: Any, second: Any, like: Any) -> Any:
        return np.float32(first).view(np.uint32)

    def rounded(first: Any, second: Any, like: Any) -> Any:
        upper = np.uint32(bfloat16_bits(second)) << np.uint32(16)
        return np.uint32(bfloat16_bits(first)) | np.uint32(upper)

    def joined(first: Any, second: Any, like: Any) -> Any:
        return np.uint32(first) | np.uint32(np.uint32(second) << np.uint32(16))

    if like.dtype != types.uint16:
        return number
    return joined if first == types.uint16 else rounded


@inline
def _half_word(number: Any, like: Array) -> Any:
    """Returns the word of the last number of an odd K, which has no second one."""
    return _word(number, number, like) & np.uint32(0xFFFF)


def _generate_copy(builder: Any, matrix: View, first: Any, like: View, panel: View) -> Any:
    """Generates the packing of whole words of a panel's columns, unless they must be rounded.

    Numba's loop over a row of the panel is long, and the processor waits for one row from memory
    after the other. Of this code it has many rows under way.

    Returns:
        How many words of each column are packed.
    """
    if matrix.dtype != like.dtype:
        return integer(0)
    (inner, _), (row, _), size = matrix.shape, matrix.strides, matrix.itemsize
    kind, values = ir.VectorType(WORD, LANES), WORD_BYTES // size
    numbers, upper = ir.VectorType(WORD if values == 1 else SHORT, LANES), [16] * LANES
    words = builder.udiv(inner, integer(values))

    def load(address: Any) -> Any:
        return builder.load(pointer(builder, address, numbers), align=size)

    def one_word(source: Any, out: Any) -> list[Any]:
        for vector in range(PANEL // LANES):
            start = builder.add(source, integer(vector * LANES * size))
            total = load(start)
            if values > 1:
                second = builder.zext(load(builder.add(start, row)), kind)
                second = builder.shl(second, ir.Constant(kind, upper))
                total = builder.or_(builder.zext(total, kind), second)
            place = builder.add(out, integer(vector * LANES * WORD_BYTES))
            builder.store(total, pointer(builder, place, kind), align=WORD_BYTES)
        step = integer(PANEL * WORD_BYTES)
        return [moved(builder, source, row, values), builder.add(out, step)]

    with builder.if_then(builder.icmp_signed(">", words, integer(0))):
        counted_loop(builder, words, [matrix.after(first).address, panel.address], one_word)
    return words


_copy_words = generated(_generate_copy, types.int64)


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
        panel, count = out[start * words :], min(PANEL, columns - start)
        done = _copy_words(matrix, first + start, like, panel) if count == PANEL else 0
        for w in range(done, whole):
            row, k = panel[w * PANEL : (w + 1) * PANEL], w * values
            even, odd = matrix[k, first + start :], matrix[k + values - 1, first + start :]
            for j in range(count):
                row[j] = _word(even[j], odd[j], like)
        for j in range(count if inner % values else 0):
            panel[whole * PANEL + j] = _half_word(matrix[inner - 1, first + start + j], like)


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
    start = 0
    while start < count:
        # At most a cache line of columns at once: they end with a line of every packed row.
        column = first + start
        end = min(count, start + _RUN - column % _RUN)
        place = column // PANEL * PANEL * words + column % PANEL
        for w in range(inner // values):
            row, k = out[place + w * PANEL :], w * values
            for u in range(start, end):
                row[u - start] = _word(matrix[u, k], matrix[u, k + values - 1], like)
        for u in range(start, end if inner % values else start):
            last = place + inner // values * PANEL + u - start
            out[last] = _half_word(matrix[u, inner - 1], like)
        start = end


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
    # One panel of columns at a time: the rows of `out` written in turns then stay in the cache.
    for start in range(first, last, PANEL):
        end = min(start + PANEL, last)
        for w in range(whole):
            even, odd = matrix[w * values], matrix[w * values + values - 1]
            for column in range(start, end):
                out[column * line + w] = _word(even[column], odd[column], matrix)
        for column in range(start, end):
            for w in range(whole, line):
                out[column * line + w] = np.uint32(0)
            if inner % values:
                out[column * line + whole] = _half_word(matrix[inner - 1, column], matrix)


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
