"""Many characters of one or more texts in one call of compiled code. Numba.

`write_in_pairs` multiplies in bfloat16 for any number of texts; `write_characters` multiplies in
float32 for one text. Threads share the units of each layer and meet at a barrier between layers.

In bfloat16 matrices and hidden states are rounded as they were in training; cells, sums and logits
stay float32. A text has the same bits beside any others and with any number of threads.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from model.kernels.amx import configure, release
from model.kernels.barrier import barrier
from model.kernels.cpu import HAS_AMX
from model.kernels.dtypes import Array
from model.kernels.gumbel import draw_all, drawn_probability
from model.kernels.jit import Kernel, inline
from model.kernels.lstm_cell import step_units
from model.kernels.matmul import matmul_by_address
from model.kernels.packing import INNER_STEP, PANEL, ROWS_PER_BLOCK, round_up
from model.kernels.vecmath import tanh

_UNITS, _UNITS_OF_MANY = 32, 32 if HAS_AMX else 64
_BITS, _NUMBER = 2, 4
"""Bytes of a bfloat16 and of a float32."""


@inline
def units_of_a_block(streams: int) -> int:
    """Returns how many hidden units a block has.

    Four rows of 32 are eight vectors, what a single row is done with. With many rows it pays that
    products stop less often for a step of the cell.
    """
    return _UNITS_OF_MANY if streams >= ROWS_PER_BLOCK else _UNITS


@inline
def _columns_of(units: int, of_a_block: int) -> int:
    """Returns how many columns the blocks of so many units have."""
    rest = units % of_a_block
    return 4 * (units - rest) + round_up(4 * rest, PANEL)


@Kernel
def write_in_pairs(  # noqa: PLR0917 - compiled code takes them by position
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
        clocks: of ``model.kernels.threads``.
        pause: see ``model.kernels.threads.yield_address``.
        table: [V, 4H], what each character adds to the first layer's gates.
        biases: [L - 1, 4H].
        head_bias: [V].
        weights: this part's pairs, one matrix after the other: of each layer one block of units
            after the other (four rows of each, one gate after the other), then of the head
            its symbols; each filled up to whole panels, and packed for
            ``model.kernels.matmul``.
        operands: bfloat16, [2, M], in turns what the products take before and after a character: of
            each layer and of the head [S, K]. K is H for the first layer and the head; else the
            output of the layer below and the layer's own hidden state; and zeros, to fill it up.
        sums: [S, 4 * units of a block] numbers or more, and the head's; written over.
        cell: [L, S, H].
        logits: [N + 1, S, V]; the first ones are given, the others are written.
        noise: [N, S, V], Gumbel.
        scale: of the logits: 1 / temperature.
        ids: [N, S], the characters that are drawn; written.
        own: [N, S], their probabilities; written.
    """
    parts = len(clocks) - 1
    layers, streams, width = cell.shape
    symbols = len(head_bias)
    first, last = width * part // parts, width * (part + 1) // parts
    first_row, last_row = symbols * part // parts, symbols * (part + 1) // parts
    count, rows = last - first, last_row - first_row
    held = round_up(rows, PANEL)
    units = units_of_a_block(streams)
    blocks = (count + units - 1) // units
    drawn, scores = np.empty(streams, np.int64), np.empty(symbols, np.float32)
    first_stream, last_stream = streams * part // parts, streams * (part + 1) // parts
    scratch = sums.ctypes.data
    line = width * _NUMBER
    turn = clocks[part, 0]
    configure(streams)
    for n in range(len(ids)):
        draw_all(logits, noise, n, scale, drawn, scores)
        for s in range(first_stream, last_stream):
            ids[n, s] = drawn[s]
            own[n, s] = drawn_probability(logits, n, s, drawn[s], scores)
        now, then = operands[n % 2].ctypes.data, operands[1 - n % 2].ctypes.data
        matrices = weights.ctypes.data
        for layer in range(layers):
            inner = round_up(2 * width if layer else width, INNER_STEP)
            place = width if layer else 0
            above_inner = round_up(2 * width if layer + 1 < layers else width, INNER_STEP)
            after = streams * inner * _BITS
            for number in range(blocks):
                # Back and forth: what the cache holds of the weights is what was read last.
                block = number if n % 2 == 0 else blocks - 1 - number
                start = block * units
                size, unit = min(units, count - start), first + start
                packed, columns = matrices + start * 4 * inner * _BITS, round_up(4 * size, PANEL)
                matmul_by_address(streams, columns, inner, now, packed, scratch)
                added = biases.ctypes.data + (layer - 1) * 4 * line
                reader = then if layers == 1 else now + after
                for s in range(streams):
                    if layer == 0:
                        added = table.ctypes.data + drawn[s] * 4 * line
                    step_units(
                        size,
                        scratch + s * columns * _NUMBER,
                        size * _NUMBER,
                        added + unit * _NUMBER,
                        line,
                        cell.ctypes.data + ((layer * streams + s) * width + unit) * _NUMBER,
                        then + (s * inner + place + unit) * _BITS,
                        reader + (s * above_inner + unit) * _BITS,
                    )
            turn += 1
            barrier(clocks, part, turn, pause)
            matrices += _columns_of(count, units) * inner * _BITS
            now, then = now + after, then + after
        read = now if layers > 1 else then - streams * round_up(width, INNER_STEP) * _BITS
        matmul_by_address(streams, held, round_up(width, INNER_STEP), read, matrices, scratch)
        for s in range(streams):
            for v in range(rows):
                logits[n + 1, s, first_row + v] = sums[s * held + v] + head_bias[first_row + v]
        turn += 1
        barrier(clocks, part, turn, pause)
    release()


_HALF: Final = np.float32(0.5)


@inline
def draw_one(logits: Array, noise: Array, scale: Any) -> int:
    """Returns the symbol with the largest score: see ``model.sampling.distribution.choose``."""
    symbol, best = 0, logits[0] * scale + noise[0]
    for v in range(1, len(logits)):
        score = logits[v] * scale + noise[v]
        if score > best:
            symbol, best = v, score
    return symbol


@inline
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


@inline
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
        clocks: of ``model.kernels.threads``.
        pause: see ``model.kernels.threads.yield_address``.
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
        drawn = draw_one(logits[n], noise[n], scale)
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
            barrier(clocks, part, turn, pause)
            out = after[layer, width:]
            x, added = before[layer], biases[layer - 1]
            _layer(upper[layer - 1], x, added, cell[layer], out, sums, first_unit, forwards)
        turn += 1
        barrier(clocks, part, turn, pause)
        for v in range(rows[0], rows[1]):
            row, total = head[v], np.float32(0)
            for k in range(width):
                total += row[k] * out[k]
            logits[n + 1, v] = total + head_bias[v]
        turn += 1
        barrier(clocks, part, turn, pause)
