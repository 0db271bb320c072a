"""Many characters of several texts in float32, one column a text. Numba.

Threads share the units of each layer and meet at a barrier between layers. The gates of a block of
units are computed as rows times all columns, which stays in vector registers: BLAS would copy its
matrix for each product.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from model.kernels.barrier import barrier
from model.kernels.cpu import LANES
from model.kernels.dtypes import WORD_BYTES, Array, FloatArray
from model.kernels.gumbel import draw_all, drawn_probability
from model.kernels.jit import Kernel, inline
from model.kernels.microkernel import tile
from model.kernels.vecmath import tanh

UNITS_PER_BLOCK: Final = 24
"""Hidden units of a block, whose sums stay in the fastest cache until they are used. Four rows of
each fill blocks of `GATE_BLOCK_ROWS`, of whatever processor."""
_HALF: Final = np.float32(0.5)


@inline
def _put_inputs(table: Array, drawn: Array, first: int, sums: Array) -> None:
    """Puts what the drawn characters add to the four gates of some units into [4, U, P]."""
    width = table.shape[1] // 4
    for s in range(sums.shape[2]):
        row = table[drawn[s]]
        for gate in range(4):
            own, column = row[gate * width + first :], sums[gate, :, s]
            for j in range(len(column)):
                column[j] = own[j]


@inline
def _put_biases(biases: Array, first: int, sums: Array) -> None:
    """Puts the biases of the four gates of some units into [4, U, P]."""
    width = len(biases) // 4
    for gate in range(4):
        own = biases[gate * width + first :]
        for j in range(sums.shape[1]):
            sums[gate, j, :] = own[j]


@inline
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


@inline
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
        clocks: of ``model.kernels.threads``.
        pause: see ``model.kernels.threads.yield_address``.
        table: [V, 4H], what each character adds to the first layer's gates.
        biases: [L - 1, 4H].
        head_bias: [V].
        weights: this part's rows of each layer and of the head, one after the other, packed by
            `pack_gate_rows`; of a layer one block of `UNITS_PER_BLOCK` units after the other, each
            packed by itself, in it one gate after the other.
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
    blocks = (count + UNITS_PER_BLOCK - 1) // UNITS_PER_BLOCK
    line, scratch = columns * WORD_BYTES, sums.ctypes.data
    drawn, scores = np.zeros(columns, np.int64), np.empty(symbols, np.float32)
    first_stream, last_stream = streams * part // parts, streams * (part + 1) // parts
    turn = clocks[part, 0]
    for n in range(len(ids)):
        draw_all(logits, noise, n, scale, drawn[:streams], scores)
        for s in range(first_stream, last_stream):
            ids[n, s] = drawn[s]
            own[n, s] = drawn_probability(logits, n, s, drawn[s], scores)
        now, then = operands[n % 2], operands[1 - n % 2]
        start_of_layer, place = weights.ctypes.data, 0
        for layer in range(layers):
            inner = 2 * width if layer else width
            read = now.ctypes.data + place * line
            past, above = place + inner - width + first, place + inner + first
            for number in range(blocks):
                # Back and forth: what the cache holds of the weights is what was read last.
                block = number if n % 2 == 0 else blocks - 1 - number
                start = block * UNITS_PER_BLOCK
                size = min(UNITS_PER_BLOCK, count - start)
                gates = sums[: 4 * size].reshape(4, size, columns)
                if layer:
                    _put_biases(biases[layer - 1], first + start, gates)
                else:
                    _put_inputs(table, drawn, first + start, gates)
                packed = start_of_layer + 4 * start * inner * WORD_BYTES
                multiply_columns(packed, 4 * size, inner, read, columns, scratch)
                begin, end = first + start, first + start + size
                _cell_step(
                    gates.reshape(4, size * columns),
                    cell[layer, begin:end].reshape(size * columns),
                    then[past + start : past + start + size].reshape(size * columns),
                    now[above + start : above + start + size].reshape(size * columns),
                )
            turn += 1
            barrier(clocks, part, turn, pause)
            start_of_layer += (
                (4 * count + GATE_BLOCK_ROWS - 1)
                // GATE_BLOCK_ROWS
                * GATE_BLOCK_ROWS
                * inner
                * WORD_BYTES
            )
            place += inner
        read = now.ctypes.data + place * line
        own_bias = head_bias[first_row:last_row]
        _put_logits(
            own_bias, start_of_layer, read, width, sums, logits[n + 1, :, first_row:last_row]
        )
        turn += 1
        barrier(clocks, part, turn, pause)


_INNER_CHUNK: Final = 256
"""Inner indices whose columns stay in the fastest cache while all rows pass over them."""
GATE_BLOCK_ROWS = 12 if LANES == 16 else 6
"""Packed rows come in multiples of so many, whose sums for two vectors fill the registers; columns
in multiples of `LANES`."""


def pack_gate_rows(matrix: FloatArray) -> FloatArray:
    """Returns a matrix [N, K] as `multiply_columns` reads it, [ceil(N / ROWS), K, ROWS], flat.

    Rows of zeros fill up the last block.
    """
    rows, inner = matrix.shape
    whole = np.zeros((-(-rows // GATE_BLOCK_ROWS), GATE_BLOCK_ROWS, inner), np.float32)
    whole.reshape(-1, inner)[:rows] = matrix
    return np.ascontiguousarray(whole.transpose(0, 2, 1)).reshape(-1)


def padded_columns(columns: int) -> int:
    """Returns the least number of columns, so many or more, that the product takes."""
    return -(-columns // LANES) * LANES


_one_vector = tile("float32", rows=GATE_BLOCK_ROWS, vectors=1, adds=True)
_two_vectors = tile("float32", rows=GATE_BLOCK_ROWS, vectors=2, adds=True)


@inline
def multiply_columns(  # noqa: PLR0917 - compiled code takes them by position
    weights: int, rows: int, inner: int, columns: int, width: int, out: int
) -> None:
    """Adds a matrix times columns to what is in ``out``; matrices by address.

    Args:
        weights: of [rows, inner], as `pack_gate_rows` leaves it.
        rows: the last block of `GATE_BLOCK_ROWS` is done as a whole.
        inner: at least 1.
        columns: of [inner, width].
        width: a multiple of `LANES`.
        out: of [rows, width], the last block's further rows included.
    """
    stride, line = width * WORD_BYTES, GATE_BLOCK_ROWS * WORD_BYTES
    for start in range(0, width, 2 * LANES):
        for begin in range(0, inner, _INNER_CHUNK):
            size = min(_INNER_CHUNK, inner - begin)
            read = columns + begin * stride + start * WORD_BYTES
            for row in range(0, rows, GATE_BLOCK_ROWS):
                packed = weights + (row * inner + begin * GATE_BLOCK_ROWS) * WORD_BYTES
                sums = out + row * stride + start * WORD_BYTES
                if width - start > LANES:
                    _two_vectors(packed, WORD_BYTES, line, size, read, stride, sums, stride)
                else:
                    _one_vector(packed, WORD_BYTES, line, size, read, stride, sums, stride)
