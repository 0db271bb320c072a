"""Products of bfloat16 pairs in registers: right for every shape, and the same in any company."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.pair_product import multiply_pairs
from model.register_block import CAN_PAIR

pytestmark = pytest.mark.skipif(not CAN_PAIR, reason="no products of pairs in this processor")

Array = npt.NDArray[np.float32]


def draw(rows: int, columns: int) -> Array:
    """Returns numbers that bfloat16 holds exactly."""
    numbers = np.random.default_rng(rows * 1000 + columns).standard_normal((rows, columns))
    bits = numbers.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return bits.view(np.float32)


def product(left: Array, right: Array, spare: int) -> Array:
    (m, k), n = left.shape, right.shape[1]
    rows = (left.view(np.uint32) >> 16).astype(np.uint16)
    pairs = np.full((k // 2, n + spare, 2), 0x7FC0, np.uint16)  # NaN where nobody should look
    halves = (right.view(np.uint32) >> 16).astype(np.uint16).reshape(k // 2, 2, n)
    pairs[:, :n] = halves.transpose(0, 2, 1)
    out = np.full((m, n), np.nan, np.float32)
    addresses = rows.ctypes.data, pairs.ctypes.data
    multiply_pairs(m, n, k, *addresses, n + spare, out.ctypes.data)
    return out


@given(
    m=st.integers(1, 40),
    n=st.integers(1, 100),
    k=st.integers(1, 60).map(lambda half: 2 * half),
    spare=st.integers(0, 17),
)
@settings(deadline=None)
def test_it_is_the_product(m: int, n: int, k: int, spare: int) -> None:
    left, right = draw(m, k), draw(k, n)
    expected = left.astype(np.float64) @ right.astype(np.float64)
    np.testing.assert_allclose(product(left, right, spare), expected, atol=1e-5 * k)


@given(m=st.integers(1, 30), n=st.integers(16, 70), columns=st.integers(16, 70))
@settings(deadline=None)
def test_no_number_depends_on_its_neighbours(m: int, n: int, columns: int) -> None:
    left, right = draw(30, 48), draw(48, 70)
    whole = product(left, right, 0)
    some = product(left[:m], np.ascontiguousarray(right[:, :n]), 0)
    assert np.array_equal(some, whole[:m, :n])
    last = product(left[-m:], np.ascontiguousarray(right[:, -columns:]), 0)
    assert np.array_equal(last, whole[-m:, -columns:])
