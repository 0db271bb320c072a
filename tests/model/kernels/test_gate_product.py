"""A packed matrix times columns is the product, and is added to what was there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.kernels.cpu import LANES
from model.kernels.decode_streams import (
    GATE_BLOCK_ROWS,
    multiply_columns,
    pack_gate_rows,
    padded_columns,
)


@given(
    rows=st.integers(1, 3 * GATE_BLOCK_ROWS),
    inner=st.integers(1, 600),
    columns=st.integers(1, 5 * LANES),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_adds_the_product(rows: int, inner: int, columns: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((rows, inner), np.float32)
    right = random.standard_normal((inner, padded_columns(columns)), np.float32)
    packed = pack_gate_rows(matrix)
    all_rows = len(packed) // inner
    out = random.standard_normal((all_rows, right.shape[1]), np.float32)
    expected = out.astype(np.float64)
    expected[:rows] += matrix.astype(np.float64) @ right.astype(np.float64)
    addresses = packed.ctypes.data, right.ctypes.data, out.ctypes.data
    multiply_columns(addresses[0], all_rows, inner, addresses[1], right.shape[1], addresses[2])
    assert (all_rows % GATE_BLOCK_ROWS, 0 <= all_rows - rows < GATE_BLOCK_ROWS) == (0, True)
    np.testing.assert_allclose(out, expected, atol=1e-5 * inner**0.5 + 1e-5)


@pytest.mark.parametrize(
    ("columns", "expected"), [(1, LANES), (LANES, LANES), (LANES + 1, 2 * LANES)]
)
def test_columns_come_in_whole_vectors(columns: int, expected: int) -> None:
    assert padded_columns(columns) == expected
