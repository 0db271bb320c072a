"""Products of bfloat16 pairs in registers: right for every shape, and the same in any company."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_fixtures import draw_bfloat16

from model.kernels.cpu import HAS_BFLOAT16
from model.kernels.dtypes import to_bfloat16
from model.kernels.matmul import matmul_pair_panels, matmul_pairs
from model.kernels.packing import PANEL, pack_pair_panels, pack_pairs

pytestmark = pytest.mark.skipif(not HAS_BFLOAT16, reason="no products of pairs in this processor")

Array = npt.NDArray[np.float32]


def product(left: Array, right: Array, spare: int) -> Array:
    (m, k), n = left.shape, right.shape[1]
    rows = (left.view(np.uint32) >> 16).astype(np.uint16)
    pairs = np.full((k // 2, n + spare, 2), 0x7FC0, np.uint16)  # NaN where nobody should look
    halves = (right.view(np.uint32) >> 16).astype(np.uint16).reshape(k // 2, 2, n)
    pairs[:, :n] = halves.transpose(0, 2, 1)
    out = np.full((m, n), np.nan, np.float32)
    place, other, result = rows.ctypes.data, pairs.ctypes.data, out.ctypes.data
    matmul_pairs(m, n, k // 2, place, 2 * k, 4, other, n + spare, result)
    # The same left matrix with its pairs side by side, as those of the right one lie.
    turned = np.ascontiguousarray(rows.reshape(m, k // 2, 2).transpose(1, 0, 2))
    again = np.full((m, n), np.nan, np.float32)
    place, result = turned.ctypes.data, again.ctypes.data
    matmul_pairs(m, n, k // 2, place, 4, 4 * m, other, n + spare, result)
    assert np.array_equal(again, out)
    return out


@given(
    m=st.integers(1, 40),
    n=st.integers(1, 100),
    k=st.integers(1, 60).map(lambda half: 2 * half),
    spare=st.integers(0, 17),
)
@settings(deadline=None)
def test_it_is_the_product(m: int, n: int, k: int, spare: int) -> None:
    left, right = draw_bfloat16(m, k), draw_bfloat16(k, n)
    expected = left.astype(np.float64) @ right.astype(np.float64)
    np.testing.assert_allclose(product(left, right, spare), expected, atol=1e-5 * k)


@given(m=st.integers(1, 30), n=st.integers(16, 70), columns=st.integers(16, 70))
@settings(deadline=None)
def test_no_number_depends_on_its_neighbours(m: int, n: int, columns: int) -> None:
    left, right = draw_bfloat16(30, 48), draw_bfloat16(48, 70)
    whole = product(left, right, 0)
    some = product(left[:m], np.ascontiguousarray(right[:, :n]), 0)
    assert np.array_equal(some, whole[:m, :n])
    last = product(left[-m:], np.ascontiguousarray(right[:, -columns:]), 0)
    assert np.array_equal(last, whole[-m:, -columns:])


@given(m=st.integers(8, 40), panels=st.integers(1, 4), pairs=st.integers(1, 40))
@settings(deadline=None)
def test_panels_are_another_order_of_the_same(m: int, panels: int, pairs: int) -> None:
    left, right = draw_bfloat16(m, 2 * pairs), draw_bfloat16(2 * pairs, PANEL * panels)
    rows, packed = to_bfloat16(left), pack_pair_panels(np.ascontiguousarray(right.T))
    out = np.full((m, PANEL * panels), np.nan, np.float32)
    places = rows.ctypes.data, packed.ctypes.data
    matmul_pair_panels(m, out.shape[1], pairs, places[0], 4 * pairs, places[1], out.ctypes.data)
    assert np.array_equal(out, product(left, right, 0))
    columns = pack_pairs(np.ascontiguousarray(right.T))
    assert np.array_equal(columns[:, :, 1], to_bfloat16(right)[1::2])


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40))
def test_numbers_are_rounded_as_pytorch_rounds_them(values: list[float]) -> None:
    numbers = np.array(values, np.float32)
    expected = torch.from_numpy(numbers).bfloat16().view(torch.uint16).numpy()
    assert np.array_equal(to_bfloat16(numbers), expected)
