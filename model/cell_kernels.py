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
from model.native_calls import multiply, release

Array = npt.NDArray[Any]

_HALF: Final = np.float32(0.5)
_ONE: Final = np.float32(1)
_LARGEST: Final = np.float32(8)
"""From here on tanh is 1 to seven digits."""
_LOWEST_BIT: Final = np.uint32(1)
_BELOW_HALF: Final = np.uint32(0x7FFF)
_ROWS_OF_A_TILE: Final = 16
"""Rows of a matrix whose pairs fill a line of the cache after packing."""


@compiled
def _tanh(x: Any) -> Any:
    """Returns tanh to 4e-7: an odd rational function, coefficients by weighted least squares.

    They minimise the largest ``|x P(x^2) / (tanh(x) Q(x^2)) - 1|`` up to 8, which is 6e-9; all are
    positive, so nothing cancels.
    """
    x = -_LARGEST if x < -_LARGEST else x  # noqa: FURB136 - min and max would lose a NaN
    x = _LARGEST if x > _LARGEST else x  # noqa: FURB136
    y = x * x
    p = np.float32(1.523051068e-08)
    p = p * y + np.float32(2.189472715e-05)
    p = p * y + np.float32(3.571601937e-03)
    p = p * y + np.float32(1.344450127e-01)
    p = p * y + np.float32(9.999999936e-01)
    q = np.float32(8.522484045e-07)
    q = q * y + np.float32(3.411298446e-04)
    q = q * y + np.float32(2.616445779e-02)
    q = q * y + np.float32(4.677782859e-01)
    q = q * y + _ONE
    return x * p / q


@compiled
def _sigmoid(x: Any) -> Any:
    return _tanh(x * _HALF) * _HALF + _HALF


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
def _bfloat16(number: Any) -> Any:
    """Returns the bits of the nearest bfloat16, in an uint32."""
    bits = np.float32(number).view(np.uint32)
    odd = (bits >> np.uint32(16)) & _LOWEST_BIT
    return (bits + _BELOW_HALF + odd) >> np.uint32(16)


@compiled
def _pair(first: Any, second: Any) -> Any:
    """Returns two numbers as bfloat16, the first in the lower half of an uint32."""
    return np.uint32(_bfloat16(first)) | np.uint32(np.uint32(_bfloat16(second)) << np.uint32(16))


@overload(_stored)
def _stored_as_type(number: Any, row: Any) -> Any:  # noqa: ARG001 - the type of the row counts
    def rounded(number: Any, row: Any) -> Any:  # noqa: ARG001
        return np.uint16(_bfloat16(number))

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
) -> None:
    """Makes time step t, the product with the recurrent matrix done.

    Args:
        inputs: [N, 4H], what the layer's inputs can add to the gates.
        ids: [T, B], the row of ``inputs`` that counts.
        bias: [4H].
        added: [B, 4H], what the hidden state adds.
        gates: [T, B, 4H], after their nonlinearities; written at t.
        cells: [T + 1, B, H], read at t, written at t + 1.
        hiddens: [T + 1, B, H], the hidden state as the products take it, written at t + 1.
        outputs: [T, B, H], the hidden state in full, written at t.
        t: the time step.
    """
    width = cells.shape[2]
    i_bias, f_bias = bias[:width], bias[width : 2 * width]
    g_bias, o_bias = bias[2 * width : 3 * width], bias[3 * width :]
    for b in range(cells.shape[1]):
        row = inputs[ids[t, b]]
        i_in, f_in = row[:width], row[width : 2 * width]
        g_in, o_in = row[2 * width : 3 * width], row[3 * width :]
        i_added, f_added = added[b, :width], added[b, width : 2 * width]
        g_added, o_added = added[b, 2 * width : 3 * width], added[b, 3 * width :]
        i_row, f_row = gates[t, b, :width], gates[t, b, width : 2 * width]
        g_row, o_row = gates[t, b, 2 * width : 3 * width], gates[t, b, 3 * width :]
        before, after = cells[t, b], cells[t + 1, b]
        hidden_row, output_row = hiddens[t + 1, b], outputs[t, b]
        for j in range(width):
            i = _sigmoid(_number(i_in[j]) + i_bias[j] + _number(i_added[j]))
            f = _sigmoid(_number(f_in[j]) + f_bias[j] + _number(f_added[j]))
            g = _tanh(_number(g_in[j]) + g_bias[j] + _number(g_added[j]))
            o = _sigmoid(_number(o_in[j]) + o_bias[j] + _number(o_added[j]))
            cell = before[j] * f + i * g
            output = o * _tanh(cell)
            i_row[j] = i
            f_row[j] = f
            g_row[j] = g
            o_row[j] = o
            after[j] = cell
            output_row[j] = output
            hidden_row[j] = _stored(output, hidden_row)


@Kernel
def step_backward(  # noqa: PLR0917
    gates: Array, cells: Array, outer: Array, added: Array, d_cell: Array, d_gates: Array, t: int
) -> None:
    """Goes back through time step t, the product with the recurrent matrix done.

    Args:
        gates: [T, B, 4H], after their nonlinearities.
        cells: [T + 1, B, H].
        outer: [T, B, H], gradients of the outputs from outside.
        added: [B, H], gradient of this step's hidden state by way of the step after it.
        d_cell: [B, H], gradient of the cell state at t + 1; becomes that at t.
        d_gates: [T, B, 4H], gradients of what goes into the gates, as the products take them;
            written at t.
        t: the time step.
    """
    width = cells.shape[2]
    for b in range(cells.shape[1]):
        i_row, f_row = gates[t, b, :width], gates[t, b, width : 2 * width]
        g_row, o_row = gates[t, b, 2 * width : 3 * width], gates[t, b, 3 * width :]
        d_i, d_f = d_gates[t, b, :width], d_gates[t, b, width : 2 * width]
        d_g, d_o = d_gates[t, b, 2 * width : 3 * width], d_gates[t, b, 3 * width :]
        before, after = cells[t, b], cells[t + 1, b]
        outer_row, added_row, d_cell_row = outer[t, b], added[b], d_cell[b]
        for j in range(width):
            i, f, g, o = i_row[j], f_row[j], g_row[j], o_row[j]
            tanh_cell = _tanh(after[j])
            d_hidden = outer_row[j] + _number(added_row[j])
            d_c = d_cell_row[j] + d_hidden * o * (_ONE - tanh_cell * tanh_cell)
            d_cell_row[j] = d_c * f
            # The slope of a sigmoid s is s - s^2.
            d_i[j] = _stored(d_c * g * (i - i * i), d_i)
            d_f[j] = _stored(d_c * before[j] * (f - f * f), d_f)
            d_g[j] = _stored(d_c * i * (_ONE - g * g), d_g)
            d_o[j] = _stored(d_hidden * tanh_cell * (o - o * o), d_o)


_step_forward, _step_backward = compiled(step_forward.function), compiled(step_backward.function)


@Kernel
def sequence_forward(  # noqa: PLR0917
    product: Array,
    inputs: Array,
    ids: Array,
    bias: Array,
    matrix: Array,
    added: Array,
    gates: Array,
    cells: Array,
    hiddens: Array,
    outputs: Array,
) -> None:
    """Makes all time steps with the products between them; see `step_forward`.

    Args:
        product: of `model.block_product`.
        inputs: [N, 4H].
        ids: [T, B].
        bias: [4H].
        matrix: recurrent, transposed and packed, [H / 2, 4H, 2].
        added: [B, 4H], written over and over.
        gates: [T, B, 4H].
        cells: [T + 1, B, H].
        hiddens: [T + 1, B, H].
        outputs: [T, B, H].
    """
    steps, batch, width = outputs.shape
    for t in range(steps):
        multiply(
            product[0],
            batch,
            4 * width,
            width,
            hiddens[t].ctypes.data,
            matrix.ctypes.data,
            added.ctypes.data,
        )
        _step_forward(inputs, ids, bias, added, gates, cells, hiddens, outputs, t)
    release(product[1])


@Kernel
def sequence_backward(  # noqa: PLR0917
    product: Array,
    gates: Array,
    cells: Array,
    outer: Array,
    matrix: Array,
    added: Array,
    d_cell: Array,
    d_gates: Array,
) -> None:
    """Goes back through all time steps with the products between them; see `step_backward`.

    Args:
        product: of `model.block_product`.
        gates: [T, B, 4H].
        cells: [T + 1, B, H].
        outer: [T, B, H].
        matrix: recurrent, packed, [2H, H, 2].
        added: [B, H]; zeros; becomes the gradient of the hidden state before the first step.
        d_cell: [B, H]; becomes the gradient of the cell state before the first step.
        d_gates: [T, B, 4H].
    """
    steps, batch, width = outer.shape
    for t in range(steps - 1, -1, -1):
        _step_backward(gates, cells, outer, added, d_cell, d_gates, t)
        multiply(
            product[0],
            batch,
            width,
            4 * width,
            d_gates[t].ctypes.data,
            matrix.ctypes.data,
            added.ctypes.data,
        )
    release(product[1])


@Kernel
def pack_recurrent(matrix: Array, forwards: Array, backwards: Array) -> None:
    """Rounds a recurrent matrix and packs it for the products of both directions.

    Args:
        matrix: float32 [4H, H], H even.
        forwards: uint32 [H / 2, 4H]: the transpose, two rows of it side by side in bfloat16.
        backwards: uint32 [2H, H], the same of the matrix itself.
    """
    rows, width = matrix.shape
    for first in range(0, rows, _ROWS_OF_A_TILE):
        last = min(rows, first + _ROWS_OF_A_TILE)
        for j in range(width // 2):
            for r in range(first, last):
                forwards[j, r] = _pair(matrix[r, 2 * j], matrix[r, 2 * j + 1])
    for r in range(rows // 2):
        even, odd, out = matrix[2 * r], matrix[2 * r + 1], backwards[r]
        for j in range(width):
            out[j] = _pair(even[j], odd[j])


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
