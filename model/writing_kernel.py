"""Many characters of one stream in one piece of compiled code, shared out among threads. Numba.

Each thread has hidden units, and rows of the head, of its own, which stay in its core's cache; the
threads meet once a layer and once at the head. Every number is computed in the same way by whatever
thread, so the text does not depend on how many there are. Equations and layout are those of
``model.kernel``. Letters: V vocabulary, H hidden, L layers.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.cell_kernels import tanh
from model.compiled import Kernel, compiled
from model.native_calls import meet

Array = npt.NDArray[Any]

_HALF: Final = np.float32(0.5)


@compiled
def draw(logits: Array, noise: Array, scale: Any) -> int:
    """Returns the symbol with the largest score: see ``model.distribution.choose``."""
    symbol, best = 0, logits[0] * scale + noise[0]
    for v in range(1, len(logits)):
        score = logits[v] * scale + noise[v]
        if score > best:
            symbol, best = v, score
    return symbol


@compiled
def _gate_sums(matrix: Array, x: Array, unit: int, width: int) -> tuple[Any, Any, Any, Any]:
    """Returns a unit's four rows times x."""
    rows = matrix[unit], matrix[width + unit], matrix[2 * width + unit], matrix[3 * width + unit]
    i, f, o, g = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    i_row, f_row, o_row, g_row = rows
    for k in range(len(x)):
        value = x[k]
        i += i_row[k] * value
        f += f_row[k] * value
        o += o_row[k] * value
        g += g_row[k] * value
    return i, f, o, g


@compiled
def _layer(  # noqa: PLR0917 - compiled code takes them by position
    matrix: Array,
    x: Array,
    added: Array,
    cell: Array,
    out: Array,
    sums: Array,
    first: int,
    forwards: bool,
) -> None:
    """Makes a step of some units of a layer, their products from the first on or the last on.

    Args:
        matrix: [4H, K].
        x: [K].
        added: [4H].
        cell: [H].
        out: [H].
        sums: [4, U], written over.
        first: of the units.
        forwards: the order of the products.
    """
    width, count = len(cell), sums.shape[1]
    for place in range(count):
        j = place if forwards else count - 1 - place
        sums[0, j], sums[1, j], sums[2, j], sums[3, j] = _gate_sums(matrix, x, first + j, width)
    i_sums, f_sums, o_sums, g_sums = sums[0], sums[1], sums[2], sums[3]
    i_added, f_added = added[first:], added[width + first :]
    o_added, g_added = added[2 * width + first :], added[3 * width + first :]
    own, hidden = cell[first:], out[first:]
    for j in range(count):
        # The rows of the first three are halved: see ``LayerWeights``.
        i = tanh(i_sums[j] + i_added[j]) * _HALF + _HALF
        f = tanh(f_sums[j] + f_added[j]) * _HALF + _HALF
        o = tanh(o_sums[j] + o_added[j]) * _HALF + _HALF
        after = own[j] * f + i * tanh(g_sums[j] + g_added[j])
        own[j] = after
        hidden[j] = o * tanh(after)


@Kernel
def write_characters(  # noqa: PLR0917 - compiled code takes them by position
    part: int,
    clocks: Array,
    pause: int,
    table: Array,
    first: Array,
    upper: Array,
    biases: Array,
    head: Array,
    head_bias: Array,
    joined: Array,
    cell: Array,
    logits: Array,
    noise: Array,
    scale: Any,
    ids: Array,
) -> None:
    """Does a thread's part of writing; all parts must be at it at the same time.

    Args:
        part: which one this is.
        clocks: of ``model.team``.
        pause: see ``model.native_calls.yield_address``.
        table: [V, 4H], what each character adds to the first layer's gates.
        first: [4H, H].
        upper: [L - 1, 4H, 2H].
        biases: [L - 1, 4H].
        head: [V, H].
        head_bias: [V].
        joined: [2, L, 2H]: in turns the state before and after a character, each row the output of
            the layer below and the layer's own hidden state. Character n reads row n % 2.
        cell: [L, H].
        logits: [N + 1, V]; the first row is given, the others are written.
        noise: [N, V], Gumbel.
        scale: of the logits: 1 / temperature.
        ids: [N], the characters that are drawn; written.
    """
    parts, layers, width = len(clocks) - 1, cell.shape[0], cell.shape[1]
    symbols = len(head_bias)
    units = width * part // parts, width * (part + 1) // parts
    rows = symbols * part // parts, symbols * (part + 1) // parts
    first_unit, sums = units[0], np.empty((4, units[1] - units[0]), np.float32)
    turn = clocks[part, 0]
    for n in range(len(ids)):
        drawn = draw(logits[n], noise[n], scale)
        if part == 0:
            ids[n] = drawn
        # Back and forth: of rows that are more than the cache holds the last ones are still there.
        forwards = n % 2 == 0
        before, after = joined[n % 2], joined[1 - n % 2]
        out = after[0, width:]
        x, added = before[0, width:], table[drawn]
        _layer(first, x, added, cell[0], out, sums, first_unit, forwards)
        for layer in range(1, layers):
            # The layer below is read where the layer's own past lies beside it.
            for u in range(units[0], units[1]):
                before[layer, u] = out[u]
            turn += 1
            meet(clocks, part, turn, pause)
            out = after[layer, width:]
            x, added = before[layer], biases[layer - 1]
            _layer(upper[layer - 1], x, added, cell[layer], out, sums, first_unit, forwards)
        turn += 1
        meet(clocks, part, turn, pause)
        for v in range(rows[0], rows[1]):
            row, total = head[v], np.float32(0)
            for k in range(width):
                total += row[k] * out[k]
            logits[n + 1, v] = total + head_bias[v]
        turn += 1
        meet(clocks, part, turn, pause)
