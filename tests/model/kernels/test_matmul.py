"""Products in float32 and in bfloat16: right for every shape, and a row the same in any company."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_fixtures import draw_bfloat16

from model.kernels.amx import configure_tiles, release_tiles
from model.kernels.dtypes import to_bfloat16
from model.kernels.jit import Kernel
from model.kernels.matmul import matmul, matmul_of_series, matmul_tn
from model.kernels.packing import (
    PANEL,
    aligned,
    pack,
    pack_array,
    pack_transposed,
    packed_words,
    padded_depth,
    transpose,
    transposed_row_words,
)

Array = npt.NDArray[Any]
DType = Literal["float32", "uint16"]
SIZES = st.integers(1, 70) | st.sampled_from([32, 64, 96, 160])
UNTOUCHED = 0x7FC07FC0
"""Two NaN in bfloat16, one in float32: what is not written must not be read."""

both_dtypes = pytest.mark.parametrize("dtype", ["float32", "uint16"], ids=["float32", "bfloat16"])


@Kernel
def packed_by_rows(matrix: Array, first: int, columns: int, like: Array, out: Array) -> None:
    pack(matrix, first, columns, like, out)


@Kernel
def packed_by_columns(matrix: Array, first: int, columns: int, like: Array, out: Array) -> None:
    pack_transposed(matrix, first, columns, like, out)


@Kernel
def one_product(left: Array, packed: Array, out: Array) -> None:
    matmul(left, packed, out)


@Kernel
def one_of_a_series(left: Array, packed: Array, out: Array, backwards: bool) -> None:
    configure_tiles(len(left))
    for _ in range(2):  # the second time it must be set up as it was the first time
        matmul_of_series(left, packed, out, backwards)
    release_tiles()


@Kernel
def transposed_by(matrix: Array, first: int, last: int, out: Array) -> None:
    transpose(matrix, first, last, out)


@Kernel
def product_over_rows(
    left: Array, first: int, rows: int, transposed: Array, columns: int, out: Array
) -> None:
    matmul_tn(left, first, rows, transposed, columns, out)


def numbers(matrix: Array, dtype: DType) -> Array:
    """Returns a matrix of bfloat16 values in a dtype of the kernels."""
    return matrix if dtype == "float32" else to_bfloat16(matrix)


def operand(left: Array, dtype: DType) -> Array:
    """Returns a left matrix, padded with zeros and beginning with a cache line."""
    depth = padded_depth(left.shape[1], np.dtype(dtype).itemsize)
    return aligned(numbers(np.pad(left, ((0, 0), (0, depth - left.shape[1]))), dtype))


def room(size: int) -> Array:
    return aligned(np.full(size, UNTOUCHED, np.uint32))


def product(left: Array, right: Array, dtype: DType, *, backwards: bool = False) -> Array:
    n = right.shape[1]
    out = aligned(np.full((len(left), -(-n // PANEL) * PANEL), np.nan, np.float32))
    packed = aligned(pack_array(np.ascontiguousarray(right.T), np.dtype(dtype)))
    one_of_a_series.run(operand(left, dtype), packed, out, backwards)
    return out[:, :n]


def check(found: Array, left: Array, right: Array) -> None:
    expected = left.astype(np.float64) @ right.astype(np.float64)
    np.testing.assert_allclose(found, expected, atol=1e-5 * len(right))


@both_dtypes
@given(m=SIZES, n=SIZES, k=SIZES, backwards=st.booleans())
@settings(deadline=None)
def test_it_is_the_product(m: int, n: int, k: int, backwards: bool, dtype: DType) -> None:
    left, right = draw_bfloat16(m, k), draw_bfloat16(k, n)
    check(product(left, right, dtype, backwards=backwards), left, right)


@both_dtypes
@given(m=st.integers(1, 70), n=st.integers(1, 160), k=st.integers(1, 96))
@settings(deadline=None)
def test_no_number_depends_on_its_neighbours(m: int, n: int, k: int, dtype: DType) -> None:
    left, right = draw_bfloat16(70, k), draw_bfloat16(k, 160)
    whole = product(left, right, dtype)
    some = product(left[:m], right[:, :n], dtype, backwards=True)
    assert np.array_equal(some, whole[:m, :n])
    assert np.array_equal(product(left[-m:], right[:, -n:], dtype), whole[-m:, -n:])


@both_dtypes
@given(n=SIZES, k=SIZES, first=st.integers(0, 40), more=st.integers(0, 40))
@settings(deadline=None)
def test_every_packer_makes_the_same_words(
    n: int, k: int, first: int, more: int, dtype: DType
) -> None:
    whole = np.random.default_rng(n).standard_normal((k, first + n + more), np.float32)
    right, like = whole[:, first : first + n], np.empty(0, dtype)
    expected = pack_array(np.ascontiguousarray(right.T), np.dtype(dtype))
    words = packed_words(n, k, like.itemsize)
    assert len(expected) == words
    for matrix in (whole, numbers(whole, dtype)):
        packed = room(words)
        packed_by_rows.run(matrix, first, n, like, packed)
        assert np.array_equal(packed, expected)
    packed = room(words)
    for begins, ends in ((0, n // 32 * 16), (n // 32 * 16, n)):
        rows = np.ascontiguousarray(right.T[begins:ends])
        packed_by_columns.run(rows, begins, n, like, packed)
    assert np.array_equal(packed, expected)


@both_dtypes
@given(m=SIZES, n=SIZES, k=SIZES | st.sampled_from([480, 512, 544, 1056]), first=st.integers(0, 9))
@settings(deadline=None)
def test_a_gradient_is_the_product_over_all_rows(
    m: int, n: int, k: int, first: int, dtype: DType
) -> None:
    left, right = draw_bfloat16(k, first + m), draw_bfloat16(k, n)
    transposed = room(n * transposed_row_words(k, np.dtype(dtype).itemsize))
    for begins, ends in ((n // 2, n), (0, n // 2)):  # by two threads
        transposed_by.run(numbers(right, dtype), begins, ends, transposed)
    out = np.full((m, n), np.nan, np.float32)
    product_over_rows.run(numbers(left, dtype), first, m, transposed, n, out)
    check(out, left[:, first:].T, right)


@both_dtypes
def test_what_is_not_a_number_comes_through(dtype: DType) -> None:
    left, right = draw_bfloat16(3, 64), draw_bfloat16(64, 32)
    left[1, 2] = np.nan
    out = product(left, right, dtype)
    assert np.isnan(out[1]).all()
    assert np.isfinite(out[[0, 2]]).all()


@both_dtypes
def test_products_of_pytorch_in_between_are_not_disturbed(dtype: DType) -> None:
    left, right = draw_bfloat16(33, 128), draw_bfloat16(128, 96)
    packed = aligned(pack_array(np.ascontiguousarray(right.T), np.dtype(dtype)))
    theirs = [torch.from_numpy(matrix).bfloat16() for matrix in (left, right)]
    for _ in range(3):
        out = np.empty((33, 96), np.float32)
        one_product.run(operand(left, dtype), packed, out)
        check(out, left, right)
        found = torch.mm(*theirs).float().numpy()
        np.testing.assert_allclose(found, left @ right, rtol=0.01, atol=0.2)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40))
def test_numbers_are_rounded_as_pytorch_rounds_them(values: list[float]) -> None:
    matrix = np.array(values, np.float32)
    expected = torch.from_numpy(matrix).bfloat16().view(torch.uint16).numpy()
    assert np.array_equal(to_bfloat16(matrix), expected)
