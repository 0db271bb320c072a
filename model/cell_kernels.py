"""What an LSTM step does beside its matrix products, forwards and backwards: one loop each. Numba.

In PyTorch's own operations a step is some thirty of them, each a pass over memory and a turn at the
interpreter, for which threads that compute side by side then queue. Compiled here, it is one pass,
and the interpreter is free meanwhile. bfloat16 comes as its bits, in ``uint16``. Letters: T time,
B batch, H hidden; gate rows in ``nn.LSTM``'s order: i, f, g, o.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from model.compiled import Kernel, compiled

Array = npt.NDArray[Any]

_HALF: Final = np.float32(0.5)
_ONE: Final = np.float32(1)
LARGEST: Final = np.float32(8)
"""From here on tanh is 1 to seven digits."""
TANH_NUMERATOR: Final = (
    1.523051068e-08,
    2.189472715e-05,
    3.571601937e-03,
    1.344450127e-01,
    9.999999936e-01,
)
TANH_DENOMINATOR: Final = (8.522484045e-07, 3.411298446e-04, 2.616445779e-02, 4.677782859e-01, 1.0)
"""Coefficients in x^2, the highest first: see `tanh`."""
_P4, _P3, _P2, _P1, _P0 = (np.float32(number) for number in TANH_NUMERATOR)
_Q4, _Q3, _Q2, _Q1, _ = (np.float32(number) for number in TANH_DENOMINATOR)
_LOWEST: Final = np.float32(-87)
"""From here down the exponential function is next to nothing in float32."""
_PER_OCTAVE: Final = np.float32(1.4426950408889634)
_OCTAVE: Final = np.float32(0.6931471805599453)
_BIAS: Final = 127
"""Of the exponent of a float32."""
_PLACE: Final = 23
"""Of its lowest bit."""
_LOWEST_BIT: Final = np.uint32(1)
_BELOW_HALF: Final = np.uint32(0x7FFF)


@compiled
def tanh(x: Any) -> Any:
    """Returns tanh to 4e-7: an odd rational function, coefficients by weighted least squares.

    They minimise the largest ``|x P(x^2) / (tanh(x) Q(x^2)) - 1|`` up to 8, which is 6e-9; all are
    positive, so nothing cancels.
    """
    x = -LARGEST if x < -LARGEST else x  # noqa: FURB136 - min and max would lose a NaN
    x = LARGEST if x > LARGEST else x  # noqa: FURB136
    y = x * x
    p, q = _P4, _Q4
    p = p * y + _P3
    p = p * y + _P2
    p = p * y + _P1
    p = p * y + _P0
    q = q * y + _Q3
    q = q * y + _Q2
    q = q * y + _Q1
    q = q * y + _ONE
    return x * p / q


@compiled
def exponential(x: Any) -> Any:
    """Returns e to the x, at most 0, to 3e-7 of it: a power of two times a polynomial.

    The series of e to the r, |r| at most half the logarithm of 2, ends with the seventh power.
    """
    x = _LOWEST if x < _LOWEST else x  # noqa: FURB136 - min and max would lose a NaN
    octaves = np.int32(x * _PER_OCTAVE - _HALF)
    r = x - np.float32(octaves) * _OCTAVE
    p = np.float32(1 / 5040)
    p = p * r + np.float32(1 / 720)
    p = p * r + np.float32(1 / 120)
    p = p * r + np.float32(1 / 24)
    p = p * r + np.float32(1 / 6)
    p = p * r + _HALF
    p = p * r + _ONE
    p = p * r + _ONE
    return p * np.uint32((octaves + np.int32(_BIAS)) << np.int32(_PLACE)).view(np.float32)


@compiled
def _sigmoid(x: Any) -> Any:
    return tanh(x * _HALF) * _HALF + _HALF


def _number(stored: Any) -> Any:
    """Returns what is stored as a number; compiled code alone calls it."""
    raise NotImplementedError


def _stored(number: Any, row: Any) -> Any:
    """Returns a number as the row stores it, rounded to even; compiled code alone calls it."""
    raise NotImplementedError


@overload(_number)
def _number_of_type(stored: Any) -> Any:
    def shifted(stored: Any) -> Any:
        return np.uint32(np.uint32(stored) << np.uint32(16)).view(np.float32)

    def as_it_is(stored: Any) -> Any:
        return stored

    return shifted if stored == types.uint16 else as_it_is


@compiled
def bfloat16_bits(number: Any) -> Any:
    """Returns the bits of the nearest bfloat16, in an uint32."""
    bits = np.float32(number).view(np.uint32)
    odd = (bits >> np.uint32(16)) & _LOWEST_BIT
    return (bits + _BELOW_HALF + odd) >> np.uint32(16)


@overload(_stored)
def _stored_as_type(number: Any, row: Any) -> Any:  # noqa: ARG001 - the type of the row counts
    def rounded(number: Any, row: Any) -> Any:  # noqa: ARG001
        return np.uint16(bfloat16_bits(number))

    def as_it_is(number: Any, row: Any) -> Any:  # noqa: ARG001
        return number

    return rounded if row.dtype == types.uint16 else as_it_is


@Kernel
def step_forward(  # noqa: PLR0917 - compiled code takes them by position
    inputs: Array,
    ids: Array,
    bias: Array,
    added: Array,
    gates: Array,
    cells: Array,
    hiddens: Array,
    outputs: Array,
    t: int,
    first: int,
) -> None:
    """Makes time step t of some units, the product with the recurrent matrix done.

    Args:
        inputs: [N, 4H], what the layer's inputs can add to the gates.
        ids: [T, B], the row of ``inputs`` that counts.
        bias: [4H].
        added: [B, 4U], what the hidden state adds to the gates of the units.
        gates: [T, B, 4H], after their nonlinearities; written at t.
        cells: [T + 1, B, H], read at t, written at t + 1.
        hiddens: [T + 1, B, H], the hidden state as the products take it, written at t + 1.
        outputs: [T, B, H], the hidden state in full, written at t.
        t: the time step.
        first: of the units.
    """
    width, count = cells.shape[2], added.shape[1] // 4
    i, f, g, o = first, width + first, 2 * width + first, 3 * width + first
    i_bias, f_bias, g_bias, o_bias = bias[i:], bias[f:], bias[g:], bias[o:]
    for b in range(cells.shape[1]):
        row, own, all_gates = inputs[ids[t, b]], added[b], gates[t, b]
        i_in, f_in, g_in, o_in = row[i:], row[f:], row[g:], row[o:]
        i_added, f_added = own[:count], own[count : 2 * count]
        g_added, o_added = own[2 * count : 3 * count], own[3 * count :]
        i_row, f_row, g_row, o_row = all_gates[i:], all_gates[f:], all_gates[g:], all_gates[o:]
        before, after = cells[t, b, first:], cells[t + 1, b, first:]
        hidden_row, output_row = hiddens[t + 1, b, first:], outputs[t, b, first:]
        for j in range(count):
            i_gate = _sigmoid(_number(i_in[j]) + i_bias[j] + _number(i_added[j]))
            f_gate = _sigmoid(_number(f_in[j]) + f_bias[j] + _number(f_added[j]))
            g_gate = tanh(_number(g_in[j]) + g_bias[j] + _number(g_added[j]))
            o_gate = _sigmoid(_number(o_in[j]) + o_bias[j] + _number(o_added[j]))
            cell = before[j] * f_gate + i_gate * g_gate
            output = o_gate * tanh(cell)
            i_row[j] = i_gate
            f_row[j] = f_gate
            g_row[j] = g_gate
            o_row[j] = o_gate
            after[j] = cell
            output_row[j] = output
        # By itself: with one more array to write to, the loop above is not done in vectors.
        for j in range(count):
            hidden_row[j] = _stored(output_row[j], hidden_row)


@Kernel
def step_backward(  # noqa: PLR0917
    gates: Array,
    cells: Array,
    outer: Array,
    added: Array,
    d_cell: Array,
    d_gates: Array,
    t: int,
    first: int,
) -> None:
    """Goes back through time step t of some units, the product with the recurrent matrix done.

    Args:
        gates: [T, B, 4H], after their nonlinearities.
        cells: [T + 1, B, H].
        outer: [T, B, H], gradients of the outputs from outside.
        added: [B, U], gradient of this step's hidden state by way of the step after it.
        d_cell: [B, H], gradient of the cell state at t + 1; becomes that at t.
        d_gates: [T, B, 4H], gradients of what goes into the gates, as the products take them;
            written at t.
        t: the time step.
        first: of the units.
    """
    width, count = cells.shape[2], added.shape[1]
    i, f, g, o = first, width + first, 2 * width + first, 3 * width + first
    for b in range(cells.shape[1]):
        row, d_row = gates[t, b], d_gates[t, b]
        i_row, f_row, g_row, o_row = row[i:], row[f:], row[g:], row[o:]
        d_i, d_f, d_g, d_o = d_row[i:], d_row[f:], d_row[g:], d_row[o:]
        before, after = cells[t, b, first:], cells[t + 1, b, first:]
        outer_row, added_row, d_cell_row = outer[t, b, first:], added[b], d_cell[b, first:]
        for j in range(count):
            i_gate, f_gate, g_gate, o_gate = i_row[j], f_row[j], g_row[j], o_row[j]
            tanh_cell = tanh(after[j])
            d_hidden = outer_row[j] + _number(added_row[j])
            d_c = d_cell_row[j] + d_hidden * o_gate * (_ONE - tanh_cell * tanh_cell)
            d_cell_row[j] = d_c * f_gate
            # The slope of a sigmoid s is s - s^2.
            d_i[j] = _stored(d_c * g_gate * (i_gate - i_gate * i_gate), d_i)
            d_f[j] = _stored(d_c * before[j] * (f_gate - f_gate * f_gate), d_f)
            d_g[j] = _stored(d_c * i_gate * (_ONE - g_gate * g_gate), d_g)
            d_o[j] = _stored(d_hidden * tanh_cell * (o_gate - o_gate * o_gate), d_o)


@Kernel
def sum_rows(rows: Array, ids: Array, sums: Array) -> None:
    """Adds each row to the sum of those with its id, in order.

    Args:
        rows: [N, 4H].
        ids: [N].
        sums: [V, 4H].
    """
    for n in range(len(ids)):
        row, total = rows[n], sums[ids[n]]
        for j in range(rows.shape[1]):
            total[j] += _number(row[j])
