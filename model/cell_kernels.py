"""What an LSTM step does beside its matrix products, forwards and backwards: one loop each. Numba.

In PyTorch's own operations a step is some thirty of them, each a pass over memory and a turn at the
interpreter, for which threads that compute side by side then queue. Compiled here, it is one pass,
and the interpreter is free meanwhile. bfloat16 comes as its bits, in ``uint16``. Letters: T time,
B batch, H hidden; gate rows in ``nn.LSTM``'s order: i, f, g, o.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

Array = npt.NDArray[Any]
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_HALF: Final = np.float32(0.5)
_ONE: Final = np.float32(1)
_LARGEST: Final = np.float32(8)
"""From here on tanh is 1 to seven digits."""
_LOWEST_BIT: Final = np.uint32(1)
_BELOW_HALF: Final = np.uint32(0x7FFF)
# Branches for a division by zero would keep a loop from being done in vectors; and NaN must stay.
_OPTIONS: Final[dict[str, Any]] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp", "afn"},
}


class Kernel:
    """A function, compiled for this processor when it is first needed, and kept on the disk."""

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function
        self.run = _compiled(function, cache=True)
        """Takes arrays; shapes and types are not looked at."""

    def prepare(self, *arguments: object) -> None:
        """Compiles or loads it for arguments of these types, by a call with them.

        What is kept on the disk cannot do harm there: where it is damaged, or where there is no
        room for it, the function is compiled for this process alone.
        """
        try:
            self.run(*arguments)
        except Exception:  # noqa: BLE001 - whatever comes of a damaged file; see the second try
            self.run = _compiled(self._function)
            self.run(*arguments)


def _compiled(function: FunctionT, *, cache: bool = False) -> FunctionT:
    """Returns the function compiled, kept on the disk if asked for and if there is a place."""
    try:
        return cast("FunctionT", numba.njit(cache=cache, **_OPTIONS)(function))
    except RuntimeError:
        if not cache:
            raise
        return _compiled(function)  # no folder to keep it in


@_compiled
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


@_compiled
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


@overload(_stored)
def _stored_as_type(number: Any, row: Any) -> Any:  # noqa: ARG001 - the type of the row counts
    def rounded(number: Any, row: Any) -> Any:  # noqa: ARG001
        bits = np.float32(number).view(np.uint32)
        odd = (bits >> np.uint32(16)) & _LOWEST_BIT
        return np.uint16((bits + _BELOW_HALF + odd) >> np.uint32(16))

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
