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
from model.native_calls import meet, multiply_in_blocks, release

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
_ROWS_OF_A_TILE: Final = 16
"""Rows of a matrix whose pairs fill a line of the cache after packing."""


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


@compiled
def _pair(first: Any, second: Any) -> Any:
    """Returns two numbers as bfloat16, the first in the lower half of an uint32."""
    return np.uint32(bfloat16_bits(first)) | np.uint32(
        np.uint32(bfloat16_bits(second)) << np.uint32(16)
    )


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


_step_forward, _step_backward = compiled(step_forward.function), compiled(step_backward.function)


@Kernel
def sequence_forward(  # noqa: PLR0917
    part: int,
    clocks: Array,
    pause: int,
    product: Array,
    inputs: Array,
    ids: Array,
    bias: Array,
    recurrent: Array,
    matrix: Array,
    added: Array,
    gates: Array,
    cells: Array,
    hiddens: Array,
    outputs: Array,
) -> None:
    """Does a thread's part of all time steps: its units, products included; see `step_forward`.

    Args:
        part: which one this is; all must be at it at the same time.
        clocks: of ``model.team``.
        pause: see ``model.native_calls.yield_address``.
        product: of ``model.block_product``.
        inputs: [N, 4H].
        ids: [T, B].
        bias: [4H].
        recurrent: float32 [4H, H], H even.
        matrix: uint32 [H / 2, at least 4U], written over.
        added: [B, 4U], written over.
        gates: [T, B, 4H].
        cells: [T + 1, B, H].
        hiddens: [T + 1, B, H].
        outputs: [T, B, H].
    """
    steps, batch, width = outputs.shape
    first = width * part // (len(clocks) - 1)
    turn, rows, wide = clocks[part, 0], added.shape[1], matrix.shape[1]
    _pack_gates(recurrent, matrix, first, rows // 4)
    for t in range(steps):
        operand, packed, sums = hiddens[t].ctypes.data, matrix.ctypes.data, added.ctypes.data
        multiply_in_blocks(product[0], batch, rows, width, operand, packed, wide, sums)
        _step_forward(inputs, ids, bias, added, gates, cells, hiddens, outputs, t, first)
        turn += 1
        meet(clocks, part, turn, pause)
    release(product[1])


@Kernel
def sequence_backward(  # noqa: PLR0917
    part: int,
    clocks: Array,
    pause: int,
    product: Array,
    gates: Array,
    cells: Array,
    outer: Array,
    recurrent: Array,
    matrix: Array,
    added: Array,
    d_cell: Array,
    d_gates: Array,
) -> None:
    """Does a thread's part of the way back through all time steps; see `step_backward`.

    Args:
        part: which one this is; all must be at it at the same time.
        clocks: of ``model.team``.
        pause: see ``model.native_calls.yield_address``.
        product: of ``model.block_product``.
        gates: [T, B, 4H].
        cells: [T + 1, B, H].
        outer: [T, B, H].
        recurrent: float32 [4H, H], H even.
        matrix: uint32 [2H, at least U], written over.
        added: [B, U]; zeros; becomes the gradient of the units' state before the first step.
        d_cell: [B, H]; becomes the gradient of the cell state before the first step.
        d_gates: [T, B, 4H].
    """
    steps, batch, width = outer.shape
    first = width * part // (len(clocks) - 1)
    turn, rows, wide = clocks[part, 0], added.shape[1], matrix.shape[1]
    pack(recurrent, matrix, first, rows)
    for t in range(steps - 1, -1, -1):
        _step_backward(gates, cells, outer, added, d_cell, d_gates, t, first)
        turn += 1
        meet(clocks, part, turn, pause)
        operand, packed, sums = d_gates[t].ctypes.data, matrix.ctypes.data, added.ctypes.data
        multiply_in_blocks(product[0], batch, rows, 4 * width, operand, packed, wide, sums)
    release(product[1])


@compiled
def _pack_gates(matrix: Array, out: Array, first: int, count: int) -> None:
    """Packs the transpose of the gates' rows of some units of [4H, H] into [H / 2, 4U]."""
    for gate in range(4):
        row, column = gate * matrix.shape[1] + first, gate * count
        pack_transposed(matrix[row : row + count], out[:, column:], count)


@compiled
def pack_transposed(matrix: Array, out: Array, rows: int) -> None:
    """Rounds a matrix [M, K] and packs its transpose into [K / 2, at least M]."""
    for start in range(0, rows, _ROWS_OF_A_TILE):
        end = min(rows, start + _ROWS_OF_A_TILE)
        for j in range(matrix.shape[1] // 2):
            for u in range(start, end):
                out[j, u] = _pair(matrix[u, 2 * j], matrix[u, 2 * j + 1])


@compiled
def pack(matrix: Array, out: Array, first: int, count: int) -> None:
    """Rounds some columns of a matrix [M, K], and packs them into [M / 2, at least as many]."""
    for r in range(len(out)):
        even, odd, row = matrix[2 * r, first:], matrix[2 * r + 1, first:], out[r]
        for j in range(count):
            row[j] = _pair(even[j], odd[j])


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
