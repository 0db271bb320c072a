"""Products of the matrix unit: right for every shape, and the same in any company."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_fixtures import draw_bfloat16

from model.kernels.amx import configure_tiles, release_tiles, row_in_tile_order
from model.kernels.cpu import HAS_AMX
from model.kernels.dtypes import to_bfloat16
from model.kernels.jit import inline
from model.kernels.matmul import add_matmul_tiles, matmul_tiles
from model.kernels.packing import (
    CACHE_LINE,
    PANEL,
    PANEL_STEP_BYTES,
    TILE_DEPTH,
    aligned,
    pack_pair_panels,
)

needs_unit = pytest.mark.skipif(not HAS_AMX, reason="no matrix unit in this processor")

Array = npt.NDArray[np.float32]


@inline
def multiply(
    m: int,
    n: int,
    steps: int,
    left: int,
    row: int,
    right: int,
    out: int,
    out_row: int,
    backwards: bool,
) -> None:
    configure_tiles(m)
    panel, half = steps * PANEL_STEP_BYTES, steps // 2
    for _ in range(2):  # the second time it must be set up as it was the first time
        if half == 0:
            matmul_tiles(m, n, steps, left, row, right, panel, out, out_row, backwards)
            continue
        matmul_tiles(m, n, half, left, row, right, panel, out, out_row, backwards)
        left_on, right_on = left + half * CACHE_LINE, right + half * PANEL_STEP_BYTES
        add_matmul_tiles(m, n, steps - half, left_on, row, right_on, panel, out, out_row, backwards)
    release_tiles()


@inline
def multiply_whole(
    m: int, n: int, steps: int, left: int, row: int, right: int, out: int, out_row: int
) -> None:
    configure_tiles(m)
    matmul_tiles(m, n, steps, left, row, right, steps * PANEL_STEP_BYTES, out, out_row, False)
    release_tiles()


def product(left: Array, right: Array, spare: int = 0, *, backwards: bool = False) -> Array:
    """Returns the product; rows lie apart, and between them is what nobody should touch."""
    (m, k), n = left.shape, right.shape[1]
    rows = np.full((m, k + 2 * spare), 0x7FC0, np.uint16)
    rows[:, :k] = to_bfloat16(left)
    packed = aligned(pack_pair_panels(np.ascontiguousarray(right.T)))
    out = np.full((m, n + spare), 7, np.float32)
    places = rows.ctypes.data, packed.ctypes.data, out.ctypes.data
    line, out_line = rows.strides[0], out.strides[0]
    multiply(m, n, k // TILE_DEPTH, places[0], line, places[1], places[2], out_line, backwards)
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
@given(panels=st.integers(1, 9), steps=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_vectors_find_the_same_number_for_a_row(panels: int, steps: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    k = TILE_DEPTH * steps
    scale = np.exp(random.uniform(-20, 20, (k, 1)))  # much is cancelled and rounded
    row = (random.standard_normal((1, k)) / scale.T).astype(np.float32)
    right = (random.standard_normal((k, PANEL * panels)) * scale).astype(np.float32)
    packed, rounded = aligned(pack_pair_panels(np.ascontiguousarray(right.T))), to_bfloat16(row)
    out = np.full((1, PANEL * panels), np.nan, np.float32)
    places = rounded.ctypes.data, packed.ctypes.data, out.ctypes.data
    row_in_tile_order(out.shape[1], steps, *places)
    expected = np.full_like(out, np.nan)
    line, out_line = rounded.strides[0], out.strides[0]
    multiply_whole(
        1, out.shape[1], steps, places[0], line, places[1], expected.ctypes.data, out_line
    )
    assert np.array_equal(out.view(np.uint32), expected.view(np.uint32))
