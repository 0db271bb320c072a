"""Compiled float32 code rounds once an operation, in one order: the same bits on every processor.

So a kernel has the same results in whichever process it was compiled, and with vectors of any
width. NumPy computes here what each kernel's equations say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bench.packed_products import repeat_matmul
from model.kernels.cell_step import Norm, complete_sums, find_scales, step_forward
from model.kernels.cpu import SIMD
from model.kernels.jit import Kernel, inline
from model.kernels.packing import PANEL, aligned, pack_array
from model.kernels.vecmath import (
    TANH_DENOMINATOR,
    TANH_LIMIT,
    TANH_NUMERATOR,
    exponentials,
    largest,
    total_of,
)

Floats = npt.NDArray[np.float32]
HALF = np.float32(0.5)

pytestmark = pytest.mark.skipif(SIMD == "sse2", reason="multiplies and adds in two roundings")


def multiply_add(a: Any, b: Any, c: Any) -> Floats:
    """Returns a * b + c, rounded once: the product of two float32 is exact in float64."""
    products = np.asarray(a, np.float64) * np.asarray(b, np.float64)
    return (products + np.asarray(c, np.float64)).astype(np.float32)


def polynomial(x: Floats, series: Sequence[float]) -> Floats:
    total = np.full_like(x, np.float32(series[0]))
    for coefficient in series[1:]:
        total = multiply_add(total, x, np.float32(coefficient))
    return total


def tanh(x: Floats) -> tuple[Floats, Floats]:
    """Returns numerator and denominator."""
    x = np.clip(x, -TANH_LIMIT, TANH_LIMIT)
    return x * polynomial(x * x, TANH_NUMERATOR), polynomial(x * x, TANH_DENOMINATOR)


def squashed(sums: Floats) -> Floats:
    """Returns the gates i, f, g, o, [4, ...], with one division for all four."""
    (i, i_by), (f, f_by), (o, o_by) = (tanh(sums[gate] * HALF) for gate in (0, 1, 3))
    i, f, o = i + i_by, f + f_by, o + o_by
    g, g_by = tanh(sums[2])
    i_f, g_o = i_by * f_by, g_by * o_by
    inverse = HALF / (i_f * g_o)
    by_i_f, by_g_o = inverse * g_o, inverse * i_f
    g = g * o_by * by_g_o
    return np.stack([i * f_by * by_i_f, f * i_by * by_i_f, g + g, o * g_by * by_g_o])


def total(row: Floats) -> np.float32:
    """Returns a sum as sixteen partial sums, then half of them after the other, then the rest."""
    whole = len(row) // 16 * 16
    sums = np.zeros(16, np.float32)
    for start in range(0, whole, 16):
        sums += row[start : start + 16]
    while len(sums) > 1:
        sums = sums[: len(sums) // 2] + sums[len(sums) // 2 :]
    for number in row[whole:]:
        sums += number
    return np.float32(sums[0])


@Kernel
def one_step(
    input_gates: Floats,
    ids: npt.NDArray[np.int64],
    bias: Floats,
    sums: Floats,
    gates: Floats,
    cells: Floats,
    hiddens: Floats,
    norm: Any,
) -> None:
    streams, units = cells.shape[1:]
    if norm is not None:
        complete_sums(sums, 0, 4 * units, units, input_gates, ids[0], 0, norm.shared)
        find_scales(norm.shared, norm.epsilon, norm.scales[0, 0, :, 0])
    recurrent = sums.reshape(streams, 4 * units)
    step_forward(input_gates, ids, bias, recurrent, gates, cells, hiddens, norm, 0, 0, 0, units)


@pytest.mark.parametrize("units", [5, 16, 43])
@pytest.mark.parametrize("is_normalised", [False, True])
def test_a_step_of_the_cell_has_the_bits_of_its_equations(units: int, is_normalised: bool) -> None:
    streams, rng = 3, np.random.default_rng(units)

    def drawn(*shape: int) -> Floats:
        return rng.standard_normal(shape).astype(np.float32)

    table, bias, sums = drawn(7, 4 * units), drawn(4 * units), drawn(streams * 4 * units)
    ids = rng.integers(0, 7, (1, streams))
    cells, hiddens, gates = (
        drawn(2, streams, units),
        drawn(2, streams, units),
        drawn(1, streams, 4 * units),
    )
    gain, epsilon, norm = drawn(4 * units), np.float32(1e-5), None
    if is_normalised:
        shared = np.zeros((streams, units), np.float32)
        scales = np.zeros((1, 1, streams, 2), np.float32)
        norm = Norm(gain, bias, epsilon, scales, shared, np.zeros_like(gain), np.zeros_like(bias))
    products = sums.reshape(streams, 4 * units).copy()
    before = cells[0].copy()
    one_step.run(table, ids, bias, sums, gates, cells, hiddens, norm)

    if norm is None:
        totals = table[ids[0]] + bias + products
        kept = None
    else:
        products = products + table[ids[0]]
        squares = np.zeros((streams, units), np.float32)
        for part in products.reshape(streams, 4, units).transpose(1, 0, 2):
            squares = multiply_add(part, part, squares)
        means = np.array([total(row) / np.float32(4 * units) for row in squares], np.float32)
        scale = np.float32(1) / np.sqrt(means + epsilon)
        kept = products * scale[:, None]
        totals = multiply_add(kept, gain, bias)
    i, f, g, o = squashed(totals.reshape(streams, 4, units).transpose(1, 0, 2))
    cell = multiply_add(before, f, i * g)
    c, c_by = tanh(cell)
    assert np.array_equal(cells[1], cell)
    assert np.array_equal(hiddens[1], o * c / c_by)
    found = np.concatenate([i, f, g, o], axis=1) if kept is None else kept
    assert np.array_equal(gates[0], found)


@given(m=st.integers(1, 30), k=st.integers(1, 40), panels=st.integers(1, 3))
@settings(deadline=None)
def test_a_product_adds_up_in_the_order_of_its_inner_indices(m: int, k: int, panels: int) -> None:
    rng = np.random.default_rng(m)
    left = rng.standard_normal((m, k)).astype(np.float32)
    right = rng.standard_normal((PANEL * panels, k)).astype(np.float32)
    out = np.full((m, PANEL * panels), np.nan, np.float32)
    packed = aligned(pack_array(right, np.dtype(np.float32)))
    repeat_matmul.run(aligned(left), packed, out, 1)
    expected = np.zeros_like(out)
    for inner in range(k):
        expected = multiply_add(left[:, inner : inner + 1], right[:, inner], expected)
    assert np.array_equal(out, expected)


@inline
def reduced(row: Floats, out: Floats) -> None:
    out[0], out[1] = total_of(row), largest(row)


@inline
def exponentials_of(row: Floats, scale: np.float32, out: Floats) -> None:
    exponentials(row, largest(row), scale, out)


@given(count=st.integers(1, 100))
def test_a_reduction_has_one_order(count: int) -> None:
    row, out = np.random.default_rng(count).standard_normal(count).astype(np.float32), np.ones(2)
    found = out.astype(np.float32)
    reduced(row, found)
    assert found[0] == total(row)
    assert found[1] == row.max()


@given(count=st.integers(1, 60), scale=st.sampled_from([1.0, 0.3, 40.0]))
def test_exponentials_have_the_bits_of_their_equation(count: int, scale: float) -> None:
    row = np.random.default_rng(count).standard_normal(count).astype(np.float32)
    out = np.empty_like(row)
    exponentials_of(row, np.float32(scale), out)
    x = np.maximum((row - row.max()) * np.float32(scale), np.float32(-87))
    n = np.trunc(multiply_add(x, np.float32(1 / math.log(2)), np.float32(-0.5)))
    r = multiply_add(n, np.float32(-math.log(2)), x)
    series = [1 / math.factorial(power) for power in range(7, -1, -1)]
    assert np.array_equal(out, polynomial(r, series) * np.exp2(n).astype(np.float32))
