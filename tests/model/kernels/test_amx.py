"""Products of the matrix unit: right for every shape, and the same in any company."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_fixtures import draw_bfloat16

from model.kernels.amx import (
    TILE_DEPTH,
    configure_tiles,
    multiply_tiles,
    release_tiles,
)
from model.kernels.cpu import HAS_AMX
from model.kernels.dtypes import WORD_BYTES, to_bfloat16
from model.kernels.jit import inline
from model.kernels.packing import CACHE_LINE, PANEL, aligned, pack_array

needs_unit = pytest.mark.skipif(not HAS_AMX, reason="no matrix unit in this processor")

Array = npt.NDArray[np.float32]


@inline
def multiply(
    m: int,
    n: int,
    words: int,
    left: int,
    row: int,
    right: int,
    out: int,
    out_row: int,
    backwards: bool,
) -> None:
    configure_tiles(m)
    for _ in range(2):  # the second time it must be set up as it was the first time
        multiply_tiles((m, n, words, left, row, right, out, out_row, backwards, False))
    release_tiles()


@inline
def multiply_twice(
    m: int, n: int, words: int, left: int, row: int, right: int, out: int, out_row: int
) -> None:
    configure_tiles(m)
    multiply_tiles((m, n, words, left, row, right, out, out_row, False, False))
    multiply_tiles((m, n, words, left, row, right, out, out_row, True, True))
    release_tiles()


def product(left: Array, right: Array, spare: int = 0, *, backwards: bool = False) -> Array:
    """Returns the product; rows lie apart, and between them is what nobody should touch."""
    (m, k), n = left.shape, right.shape[1]
    rows = np.full((m, k + 2 * spare), 0x7FC0, np.uint16)
    rows[:, :k] = to_bfloat16(left)
    packed = aligned(pack_array(np.ascontiguousarray(right.T), np.dtype(np.uint16)))
    out = np.full((m, n + spare), 7, np.float32)
    places = rows.ctypes.data, packed.ctypes.data, out.ctypes.data
    line, out_line = rows.strides[0], out.strides[0]
    multiply(m, n, k // 2, places[0], line, places[1], places[2], out_line, backwards)
    assert (out[:, n:] == 7).all()
    return out[:, :n]


@needs_unit
@given(
    m=st.integers(1, 80),
    panels=st.integers(1, 5),
    steps=st.integers(1, 5),
    spare=st.integers(0, 40),
    backwards=st.booleans(),
)
@settings(deadline=None)
def test_it_is_the_product(m: int, panels: int, steps: int, spare: int, backwards: bool) -> None:
    k = TILE_DEPTH * steps
    left, right = draw_bfloat16(m, k), draw_bfloat16(k, PANEL * panels)
    expected = left.astype(np.float64) @ right.astype(np.float64)
    found = product(left, right, spare, backwards=backwards)
    np.testing.assert_allclose(found, expected, atol=1e-5 * k)


@needs_unit
@given(m=st.integers(1, 70), panels=st.integers(1, 3))
@settings(deadline=None)
def test_no_number_depends_on_its_neighbours(m: int, panels: int) -> None:
    left, right = draw_bfloat16(70, 96), draw_bfloat16(96, 3 * PANEL)
    whole, columns = product(left, right), PANEL * panels
    some = product(left[:m], right[:, :columns], backwards=True)
    assert np.array_equal(some, whole[:m, :columns])
    assert np.array_equal(product(left[-m:], right[:, -columns:]), whole[-m:, -columns:])


@given(size=st.integers(1, 300), skipped=st.integers(0, 20))
def test_a_copy_begins_with_a_line(size: int, skipped: int) -> None:
    numbers = np.arange(size + skipped, dtype=np.float32)[skipped:].reshape(1, size)
    copy = aligned(numbers)
    assert copy.ctypes.data % CACHE_LINE == 0
    assert np.array_equal(copy, numbers)
    copy[:] = -1
    assert numbers[0, 0] == skipped


@needs_unit
def test_a_product_is_added_to_what_was_there() -> None:
    left, right = draw_bfloat16(33, 64), draw_bfloat16(64, 2 * PANEL)
    packed = aligned(pack_array(np.ascontiguousarray(right.T), np.dtype(np.uint16)))
    rows, out = aligned(to_bfloat16(left)), np.full((33, 2 * PANEL), np.nan, np.float32)
    places = rows.ctypes.data, packed.ctypes.data, out.ctypes.data
    line = out.shape[1] * WORD_BYTES
    multiply_twice(33, 2 * PANEL, 32, places[0], 128, places[1], places[2], line)
    np.testing.assert_allclose(out, 2 * product(left, right), atol=1e-3)
