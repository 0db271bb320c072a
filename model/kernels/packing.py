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
from numba.extending import overload

from model.kernels.cpu import HAS_AMX, LANES
from model.kernels.dtypes import (
    BFLOAT16_BYTES,
    WORD_BYTES,
    Array,
    FloatArray,
    bfloat16_bits,
    to_bfloat16,
)
from model.kernels.ir import SHORT, WORD, address_intrinsic, counted_loop, integer, moved, pointer
from model.kernels.jit import inline

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


@inline
def round_up(count: int, multiple: int) -> int:
    """Rounds ``count`` up to a multiple of ``multiple``."""
    return (count + multiple - 1) // multiple * multiple


def depth_step(dtype: Any) -> int:
    """Returns the number that padded inner indices of a NumPy or Numba dtype are a multiple of."""
    return PAIRED_DEPTH if dtype in (types.uint16, np.uint16) else 1


def padded_depth(inner: int, dtype: Any) -> int:
    """Returns K padded for products of a NumPy dtype."""
    return -(-inner // depth_step(dtype)) * depth_step(dtype)


def packed_words(columns: int, inner: int, dtype: Any) -> int:
    """Returns the words of a packed matrix [K, N] of a NumPy dtype."""
    values = 2 if depth_step(dtype) > 1 else 1
    return -(-columns // PANEL) * PANEL * (padded_depth(inner, dtype) // values)


def transposed_words(columns: int, inner: int, dtype: Any) -> int:
    """Returns the words that `transpose` writes for a matrix [K, N] of a NumPy dtype."""
    words = packed_words(1, inner, dtype) // PANEL
    return columns * (-(-words // WORDS_PER_LINE) * WORDS_PER_LINE + WORDS_PER_LINE)


def words_of(inner: int, like: Array) -> int:
    """Returns the words of K padded inner indices; compiled code only."""
    raise NotImplementedError


def depth_of(inner: int, like: Array) -> int:
    """Returns K padded; compiled code only."""
    raise NotImplementedError


@overload(words_of)
def _typed_words_of(inner: int, like: Any) -> Any:  # noqa: ARG001
    def pairs(inner: int, like: Any) -> int:  # noqa: ARG001
        return round_up(inner, PAIRED_DEPTH) // 2

    def numbers(inner: int, like: Any) -> int:  # noqa: ARG001
        return inner

    return pairs if like.dtype == types.uint16 else numbers


@overload(depth_of)
def _typed_depth_of(inner: int, like: Any) -> Any:  # noqa: ARG001
    step = depth_step(like.dtype)

    def padded(inner: int, like: Any) -> int:  # noqa: ARG001
        return round_up(inner, step)

    return padded


@inline
def empty_words(count: int) -> Array:
    """Returns an uninitialised uint32 [count] that begins with a cache line."""
    room = np.empty(count + WORDS_PER_LINE, np.uint32)
    start = (CACHE_LINE - room.ctypes.data % CACHE_LINE) // WORD_BYTES
    return room[start : start + count]


@inline
def empty_packed(columns: int, inner: int, like: Array) -> Array:
    """Returns an uninitialised uint32 array for a packed matrix [K, N]."""
    return empty_words(round_up(columns, PANEL) * words_of(inner, like))


def _word(first: Any, second: Any, like: Array) -> Any:
    """Returns a number, or two as a pair with the first in the lower half; compiled code only."""
    raise NotImplementedError


@overload(_word)
def _typed_word(first: Any, second: Any, like: Any) -> Any:  # noqa: ARG001
    def number(first: Any, second: Any, like: Any) -> Any:  # noqa: ARG001
        return np.float32(first).view(np.uint32)

    def rounded(first: Any, second: Any, like: Any) -> Any:  # noqa: ARG001
        upper = np.uint32(bfloat16_bits(second)) << np.uint32(16)
        return np.uint32(bfloat16_bits(first)) | np.uint32(upper)

    def joined(first: Any, second: Any, like: Any) -> Any:  # noqa: ARG001
        return np.uint32(first) | np.uint32(np.uint32(second) << np.uint32(16))

    if like.dtype != types.uint16:
        return number
    return joined if first == types.uint16 else rounded


def values_per_word(like: Array) -> int:
    """Returns the numbers of a word; compiled code only."""
    raise NotImplementedError


@overload(values_per_word)
def _typed_values_per_word(like: Any) -> Any:
    count = 2 if like.dtype == types.uint16 else 1

    def values(like: Any) -> int:  # noqa: ARG001
        return count

    return values


def _generate_copy(number_kind: Any, builder: Any, *arguments: Any) -> None:
    """Generates the copy of a panel's words: float32, or pairs of bfloat16 from two rows."""
    source, row, words, out = arguments
    kind, pairs = ir.VectorType(WORD, LANES), number_kind is SHORT
    upper = ir.Constant(kind, [16] * LANES)
    line, number_bytes = integer(LANES * WORD_BYTES), BFLOAT16_BYTES if pairs else WORD_BYTES

    def load(address: Any) -> Any:
        numbers = ir.VectorType(number_kind, LANES)
        return builder.load(pointer(builder, address, numbers), align=number_bytes)

    def one_word(source: Any, out: Any) -> list[Any]:
        for vector in range(PANEL // LANES):
            start = builder.add(source, integer(vector * LANES * number_bytes))
            total = load(start)
            if pairs:
                second = builder.zext(load(builder.add(start, row)), kind)
                total = builder.or_(builder.zext(total, kind), builder.shl(second, upper))
            place = pointer(builder, moved(builder, out, line, vector), total.type)
            builder.store(total, place, align=WORD_BYTES)
        step = integer(PANEL * WORD_BYTES)
        return [moved(builder, source, row, 2 if pairs else 1), builder.add(out, step)]

    with builder.if_then(builder.icmp_signed(">", words, integer(0))):
        counted_loop(builder, words, [source, out], one_word)


_COPIES: Final = {
    number: address_intrinsic(partial(_generate_copy, kind))
    for number, kind in ((types.float32, WORD), (types.uint16, SHORT))
}


def _copy_words(matrix: Array, first: int, like: Array, panel: Array) -> int:
    """Packs whole words of a panel's columns, unless they must be rounded; compiled code only.

    Numba's loop over a row of the panel is long, and the processor waits for one row from memory
    after the other. Of this code it has many rows under way.

    Returns:
        How many words of each column it has packed.
    """
    raise NotImplementedError


@overload(_copy_words)
def _typed_copy_words(matrix: Any, first: Any, like: Any, panel: Any) -> Any:  # noqa: ARG001
    copy = _COPIES[like.dtype]

    def copied(matrix: Any, first: Any, like: Any, panel: Any) -> Any:
        words = len(matrix) // values_per_word(like)
        start = matrix.ctypes.data + first * matrix.itemsize
        copy((start, matrix.strides[0], words, panel.ctypes.data))
        return words

    def nothing(matrix: Any, first: Any, like: Any, panel: Any) -> Any:  # noqa: ARG001
        return 0

    return copied if matrix.dtype == like.dtype else nothing


@inline
def pack(matrix: Array, first: int, columns: int, like: Array, out: Array) -> None:
    """Packs N columns of a matrix as a right matrix [K, N].

    Args:
        matrix: float32 or bfloat16 [K, first + N or more]; bfloat16 only if ``like`` is.
        first: first of the columns.
        columns: N.
        like: dtype of the packed numbers.
        out: uint32, from `empty_packed`; written.
    """
    inner = len(matrix)
    values, words = values_per_word(like), words_of(inner, like)
    for start in range(0, columns, PANEL):
        panel, count = out[start * words :], min(PANEL, columns - start)
        done = _copy_words(matrix, first + start, like, panel) if count == PANEL else 0
        for w in range(done, words):
            row, k = panel[w * PANEL : (w + 1) * PANEL], w * values
            if k < inner:
                # Of an odd K the last number has no second one; it becomes 0 below.
                even = matrix[k, first + start :]
                odd = matrix[min(k + values, inner) - 1, first + start :]
                for j in range(count):
                    row[j] = _word(even[j], odd[j], like)
                if k + values > inner:
                    for j in range(count):
                        row[j] &= np.uint32(0xFFFF)
            for j in range(count if k < inner else 0, PANEL):
                row[j] = np.uint32(0)


@inline
def pack_transposed(matrix: Array, first: int, columns: int, like: Array, out: Array) -> None:
    """Packs some columns of a right matrix [K, N] from rows of its transpose.

    Args:
        matrix: float32 [columns to pack, K].
        first: index of its first row among the N columns; 0 clears what N and K leave unused.
        columns: N.
        like: dtype of the packed numbers.
        out: uint32, from `empty_packed`; written.
    """
    count, inner = matrix.shape
    values, words = values_per_word(like), words_of(inner, like)
    if first == 0 and (columns % PANEL or inner % values or words * values > inner):
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
        if inner % values:
            row = out[place + inner // values * PANEL :]
            for u in range(start, end):
                row[u - start] = _word(matrix[u, inner - 1], matrix[u, inner - 1], like)
                row[u - start] &= np.uint32(0xFFFF)
        start = end


@inline
def transposed_row_words(inner: int, like: Array) -> int:
    """Returns the words of a row that `transpose` writes.

    One cache line more than K needs, so that rows do not lie a power of two apart.
    """
    return round_up(words_of(inner, like), WORDS_PER_LINE) + WORDS_PER_LINE


@inline
def empty_transposed(columns: int, inner: int, like: Array) -> Array:
    """Returns an uninitialised uint32 [N * transposed_row_words(K)] for `transpose`."""
    return empty_words(columns * transposed_row_words(inner, like))


@inline
def transpose(matrix: Array, first: int, last: int, out: Array) -> None:
    """Transposes a matrix [K, N] into the left operand of `matmul_tn`.

    Args:
        matrix: float32 or bfloat16 [K, N].
        first: first of the columns that this thread transposes.
        last: end of the columns.
        out: uint32 [N, transposed_row_words(K)], flat; rows ``first`` to ``last`` are written.
    """
    inner, line = len(matrix), transposed_row_words(len(matrix), matrix)
    values = values_per_word(matrix)
    whole = inner // values
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
                number = matrix[inner - 1, column]
                out[column * line + whole] = _word(number, number, matrix) & np.uint32(0xFFFF)


def pack_array(matrix: FloatArray, dtype: Any) -> npt.NDArray[np.uint32]:
    """Packs the right matrix of ``x @ matrix.T`` in NumPy.

    Args:
        matrix: float32 [N, K].
        dtype: of the packed numbers, float32 or uint16 for bfloat16.
    """
    columns, inner = matrix.shape
    depth = padded_depth(inner, dtype)
    padded = np.pad(matrix, ((0, -columns % PANEL), (0, depth - inner)))
    numbers = padded if dtype == np.float32 else to_bfloat16(padded)
    words = np.ascontiguousarray(numbers).view(np.uint32)
    panels = words.reshape(len(padded) // PANEL, PANEL, -1)
    return np.ascontiguousarray(panels.transpose(0, 2, 1)).reshape(-1)


def aligned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns a copy that begins with a cache line."""
    room = np.empty(array.nbytes + CACHE_LINE, np.uint8)
    start = -room.ctypes.data % CACHE_LINE
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
