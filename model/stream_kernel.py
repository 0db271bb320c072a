"""Characters of many streams, one compiled piece of code for all of a character. Numba.

State and gates have a column for each stream, so that one pass over the weights serves all of them
and every loop runs along the streams. Threads share the units and meet once a layer, as in
``model.writing_kernel``. Letters: S streams, P the columns for them, V vocabulary, H hidden, L
layers.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.cell_kernels import tanh
from model.column_product import ROWS, multiply_columns
from model.compiled import Kernel, compiled
from model.draw_kernel import draw_all, probability
from model.native_calls import meet

Array = npt.NDArray[Any]

UNITS: Final = 24
"""Hidden units of a block, whose sums stay in the fastest cache until they are used. Four rows of
each fill blocks of `ROWS`, of whatever processor."""
_HALF: Final = np.float32(0.5)
_NUMBER: Final = 4
"""Bytes of a float32."""


@compiled
def _put_inputs(table: Array, drawn: Array, first: int, sums: Array) -> None:
    """Puts what the drawn characters add to the four gates of some units into [4, U, P]."""
    width = table.shape[1] // 4
    for s in range(sums.shape[2]):
        row = table[drawn[s]]
        for gate in range(4):
            own, column = row[gate * width + first :], sums[gate, :, s]
            for j in range(len(column)):
                column[j] = own[j]


@compiled
def _put_biases(biases: Array, first: int, sums: Array) -> None:
    """Puts the biases of the four gates of some units into [4, U, P]."""
    width = len(biases) // 4
    for gate in range(4):
        own = biases[gate * width + first :]
        for j in range(sums.shape[1]):
            sums[gate, j, :] = own[j]


@compiled
def _cell_step(sums: Array, cell: Array, hidden: Array, above: Array) -> None:
    """Makes a step of some units of a layer; the hidden state goes to two places.

    Args:
        sums: [4, U * P], what goes into the gates.
        cell: [U * P].
        hidden: [U * P], written.
        above: [U * P], written.
    """
    i_sums, f_sums, o_sums, g_sums = sums[0], sums[1], sums[2], sums[3]
    for j in range(len(cell)):
        # The rows of the first three are halved: see ``LayerWeights``.
        i = tanh(i_sums[j]) * _HALF + _HALF
        f = tanh(f_sums[j]) * _HALF + _HALF
        o = tanh(o_sums[j]) * _HALF + _HALF
        after = cell[j] * f + i * tanh(g_sums[j])
        cell[j] = after
        number = o * tanh(after)
        hidden[j] = number
        above[j] = number


@compiled
def _put_logits(  # noqa: PLR0917
    bias: Array, weights: int, read: int, width: int, sums: Array, logits: Array
) -> None:
    """Puts the logits of some symbols into [S, N]; weights and what they read are addresses."""
    columns = sums.shape[1]
    for v in range(len(bias)):
        sums[v, :] = bias[v]
    multiply_columns(weights, len(bias), width, read, columns, sums.ctypes.data)
    for s in range(len(logits)):
        found = logits[s]
        for v in range(len(bias)):
            found[v] = sums[v, s]


@Kernel
def write_streams(  # noqa: PLR0917
    part: int,
    clocks: Array,
    pause: int,
    table: Array,
    biases: Array,
    head_bias: Array,
    weights: Array,
    operands: Array,
    sums: Array,
    cell: Array,
    logits: Array,
    noise: Array,
    scale: Any,
    ids: Array,
    own: Array,
) -> None:
    """Does a thread's part of writing; all parts must be at it at the same time.

    Args:
        part: which one this is.
        clocks: of ``model.team``.
        pause: see ``model.native_calls.yield_address``.
        table: [V, 4H], what each character adds to the first layer's gates.
        biases: [L - 1, 4H].
        head_bias: [V].
        weights: this part's rows of each layer and of the head, one after the other, packed by
            ``pack_rows``; of a layer one block of `UNITS` units after the other, each packed by
            itself, in it one gate after the other.
        operands: [2, M, P], in turns what the products take before and after a character: of each
            layer and of the head K rows. K is H for the first layer and the head; else the output
            of the layer below and the layer's own hidden state.
        sums: at least [4 * UNITS, P], and the head's packed rows; written over.
        cell: [L, H, P].
        logits: [N + 1, S, V]; the first ones are given, the others are written.
        noise: [N, S, V], Gumbel.
        scale: of the logits: 1 / temperature.
        ids: [N, S], the characters that are drawn; written.
        own: [N, S], their probabilities; written.
    """
    parts = len(clocks) - 1
    layers, width, columns = cell.shape
    streams, symbols = logits.shape[1], len(head_bias)
    first, last = width * part // parts, width * (part + 1) // parts
    first_row, last_row = symbols * part // parts, symbols * (part + 1) // parts
    count = last - first
    blocks = (count + UNITS - 1) // UNITS
    line, scratch = columns * _NUMBER, sums.ctypes.data
    drawn, scores = np.zeros(columns, np.int64), np.empty(symbols, np.float32)
    first_stream, last_stream = streams * part // parts, streams * (part + 1) // parts
    turn = clocks[part, 0]
    for n in range(len(ids)):
        draw_all(logits, noise, n, scale, drawn[:streams], scores)
        for s in range(first_stream, last_stream):
            ids[n, s] = drawn[s]
            own[n, s] = probability(logits, n, s, drawn[s], scores)
        now, then = operands[n % 2], operands[1 - n % 2]
        start_of_layer, place = weights.ctypes.data, 0
        for layer in range(layers):
            inner = 2 * width if layer else width
            read = now.ctypes.data + place * line
            past, above = place + inner - width + first, place + inner + first
            for number in range(blocks):
                # Back and forth: what the cache holds of the weights is what was read last.
                block = number if n % 2 == 0 else blocks - 1 - number
                start = block * UNITS
                size = min(UNITS, count - start)
                gates = sums[: 4 * size].reshape(4, size, columns)
                if layer:
                    _put_biases(biases[layer - 1], first + start, gates)
                else:
                    _put_inputs(table, drawn, first + start, gates)
                packed = start_of_layer + 4 * start * inner * _NUMBER
                multiply_columns(packed, 4 * size, inner, read, columns, scratch)
                begin, end = first + start, first + start + size
                _cell_step(
                    gates.reshape(4, size * columns),
                    cell[layer, begin:end].reshape(size * columns),
                    then[past + start : past + start + size].reshape(size * columns),
                    now[above + start : above + start + size].reshape(size * columns),
                )
            turn += 1
            meet(clocks, part, turn, pause)
            start_of_layer += (4 * count + ROWS - 1) // ROWS * ROWS * inner * _NUMBER
            place += inner
        read = now.ctypes.data + place * line
        own_bias = head_bias[first_row:last_row]
        _put_logits(
            own_bias, start_of_layer, read, width, sums, logits[n + 1, :, first_row:last_row]
        )
        turn += 1
        meet(clocks, part, turn, pause)
