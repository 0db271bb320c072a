"""Many characters of several streams in float32, one column a stream. Numba.

Threads share the units of each layer and meet at a barrier between layers. The gates of a block of
units are computed as rows times all columns, which stays in vector registers: BLAS would copy its
matrix for each product.

Layouts of `decode_columns`:

- weights, flat: a thread's matrices from `pack_gate_rows`, one after the other. Of each layer one
  matrix for each block of `UNITS_PER_BLOCK` units, with four gates, one after the other; then the
  thread's symbols of the head.
- operands: what the products read, in turns before and after a character. Of each layer and of the
  head [K, P]. K is H for the first layer and for the head. For the others it is 2H: output of the
  layer below and own hidden state.

Letters: N characters, S streams, P = S padded to vectors, V vocabulary, H hidden, L layers, U
hidden units of a block, K inner indices. Gates are in the order i, f, o, g, and the rows of the
first three are halved: see ``LayerWeights``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from model.kernels.barrier import barrier, rank_range
from model.kernels.cpu import LANES
from model.kernels.dtypes import WORD_BYTES, Array, FloatArray
from model.kernels.gumbel import draw_all, record_drawn
from model.kernels.jit import Kernel, inline
from model.kernels.microkernel import tile
from model.kernels.packing import round_up
from model.kernels.vecmath import tanh

UNITS_PER_BLOCK: Final = 24
"""Hidden units of a block. Its sums stay in the L1 cache until the cells are stepped. Four gates of
24 are a multiple of `GATE_BLOCK_ROWS` on every processor."""
GATE_BLOCK_ROWS: Final = 12 if LANES == 16 else 6
"""Rows of a register block. With two vectors of columns, the sums are 24 of 32 registers with
AVX-512, and 12 of 16 otherwise; the others hold columns and a number."""
_INNER_CHUNK: Final = 256
"""Inner indices whose columns stay in the L1 cache while all rows pass over them."""
_HALF: Final = np.float32(0.5)


@inline
def _put_inputs(table: Array, drawn: Array, first: int, sums: Array) -> None:
    """Writes what the drawn characters add to the gates of some units.

    Args:
        table: float32 [V, 4H].
        drawn: int64 [P], rows of the table.
        first: first of the units.
        sums: float32 [4, U, P]; written.
    """
    width = table.shape[1] // 4
    for s in range(sums.shape[2]):
        row = table[drawn[s]]
        for gate in range(4):
            gate_row, column = row[gate * width + first :], sums[gate, :, s]
            for j in range(len(column)):
                column[j] = gate_row[j]


@inline
def _put_biases(biases: Array, first: int, sums: Array) -> None:
    """Writes the biases of the gates of some units.

    Args:
        biases: float32 [4H].
        first: first of the units.
        sums: float32 [4, U, P]; written.
    """
    width = len(biases) // 4
    for gate in range(4):
        gate_biases = biases[gate * width + first :]
        for j in range(sums.shape[1]):
            sums[gate, j, :] = gate_biases[j]


@inline
def _step_cells(sums: Array, cell: Array, hidden: Array, reader: Array) -> None:
    """Steps the cells of some units of a layer.

    Args:
        sums: float32 [4, U * P], what goes into the gates.
        cell: float32 [U * P]; updated.
        hidden: float32 [U * P], the hidden state for the layer's next step; written.
        reader: float32 [U * P], the hidden state for the layer above or the head; written.
    """
    i_sums, f_sums, o_sums, g_sums = sums[0], sums[1], sums[2], sums[3]
    for j in range(len(cell)):
        # sigmoid(2x) = tanh(x) / 2 + 1 / 2; the rows of i, f and o are halved.
        i = tanh(i_sums[j]) * _HALF + _HALF
        f = tanh(f_sums[j]) * _HALF + _HALF
        o = tanh(o_sums[j]) * _HALF + _HALF
        after = cell[j] * f + i * tanh(g_sums[j])
        cell[j] = after
        number = o * tanh(after)
        hidden[j] = number
        reader[j] = number


@inline
def _step_layer(  # noqa: PLR0917 - compiled code takes them by position
    layer: int,
    first: int,  # of the thread's units
    last: int,  # their end
    backwards: bool,  # whether to begin with the last block
    table: Array,  # float32 [V, 4H]
    biases: Array,  # float32 [L - 1, 4H]
    drawn: Array,  # int64 [P], rows of the table
    packed: int,  # address of the thread's packed rows of the layer
    sums: Array,  # float32 [4 * UNITS_PER_BLOCK or more, P], scratch
    cell: Array,  # float32 [L, H, P], updated
    now: Array,  # float32 [M, P], what products read for this character
    then: Array,  # float32 [M, P], what they read for the next one
) -> None:
    """Steps a thread's units of one layer, one block of units after the other."""
    _, width, columns = cell.shape
    # Operands of the layers below: H rows, then 2H rows each.
    place = (2 * layer - 1) * width if layer else 0
    inner = 2 * width if layer else width
    read = now.ctypes.data + place * columns * WORD_BYTES
    # The layer's own hidden state are the last H rows of its operand; what reads it follows.
    own_place, reader_place = place + inner - width + first, place + inner + first
    count = last - first
    blocks = (count + UNITS_PER_BLOCK - 1) // UNITS_PER_BLOCK
    for number in range(blocks):
        block = blocks - 1 - number if backwards else number
        start = block * UNITS_PER_BLOCK
        size = min(UNITS_PER_BLOCK, count - start)
        end = start + size
        gates = sums[: 4 * size].reshape(4, size, columns)
        if layer:
            _put_biases(biases[layer - 1], first + start, gates)
        else:
            _put_inputs(table, drawn, first + start, gates)
        matrix = packed + 4 * start * inner * WORD_BYTES
        multiply_columns(matrix, 4 * size, inner, read, columns, sums.ctypes.data)
        # Flat, so that the loop over cells is one loop whatever P is.
        _step_cells(
            gates.reshape(4, size * columns),
            cell[layer, first + start : first + end].reshape(size * columns),
            then[own_place + start : own_place + end].reshape(size * columns),
            now[reader_place + start : reader_place + end].reshape(size * columns),
        )


@inline
def _put_logits(  # noqa: PLR0917
    bias: Array, packed: int, read: int, width: int, sums: Array, logits: Array
) -> None:
    """Writes the logits of a thread's symbols.

    Args:
        bias: float32 [symbols].
        packed: address of the thread's packed rows of the head.
        read: address of float32 [H, P], what the head reads.
        width: H.
        sums: float32 [symbols padded to `GATE_BLOCK_ROWS`, P]; scratch.
        logits: float32 [S, symbols]; written.
    """
    columns = sums.shape[1]
    for v in range(len(bias)):
        sums[v, :] = bias[v]
    multiply_columns(packed, len(bias), width, read, columns, sums.ctypes.data)
    for s in range(len(logits)):
        row = logits[s]
        for v in range(len(bias)):
            row[v] = sums[v, s]


@Kernel
def decode_columns(  # noqa: PLR0917
    rank: int,
    arrivals: Array,  # int64 [size + 1, ARRIVALS_WIDTH], see `model.kernels.threads`
    sched_yield: int,  # address of the function, 0 for none
    table: Array,  # float32 [V, 4H], what each character adds to the first layer's gates
    biases: Array,  # float32 [L - 1, 4H], of the upper layers
    head_bias: Array,  # float32 [V]
    weights: Array,  # float32, the rank's, see the module
    operands: Array,  # float32 [2, M, P], see the module
    sums: Array,  # float32 [4 * UNITS_PER_BLOCK, or the padded symbols if more, P], scratch
    cell: Array,  # float32 [L, H, P], updated
    logits: Array,  # float32 [N + 1, S, V], the first are read, the others are written
    noise: Array,  # float32 [N, S, V], Gumbel
    scale: Any,  # float32, 1 / temperature
    ids: Array,  # int64 [N, S], the characters, written
    probabilities: Array,  # float32 [N, S], theirs at temperature 1, written
) -> None:
    """Runs a rank's share of N characters in S streams; all ranks must run at the same time."""
    size, (layers, width, columns) = len(arrivals) - 1, cell.shape
    streams, symbols = logits.shape[1], len(head_bias)
    first, last = rank_range(width, rank, size)
    first_symbol, last_symbol = rank_range(symbols, rank, size)
    first_stream, last_stream = rank_range(streams, rank, size)
    drawn, scores = np.zeros(columns, np.int64), np.empty(symbols, np.float32)
    layer_rows = round_up(4 * (last - first), GATE_BLOCK_ROWS)
    head_place = (2 * layers - 1) * width * columns * WORD_BYTES
    phase = arrivals[rank, 0]
    for n in range(len(ids)):
        # Every rank draws all characters: cheaper than one more barrier.
        draw_all(logits, noise, n, scale, drawn[:streams], scores)
        record_drawn(logits, n, first_stream, last_stream, drawn, scores, ids, probabilities)
        now, then = operands[n % 2], operands[1 - n % 2]
        packed = weights.ctypes.data
        for layer in range(layers):
            # Odd characters go backwards: a cache too small for the weights holds their end.
            _step_layer(
                layer, first, last, n % 2 == 1, table, biases, drawn, packed, sums, cell, now, then
            )  # fmt: skip
            # The next product reads the hidden state of all units.
            phase += 1
            barrier(arrivals, rank, phase, sched_yield)
            packed += layer_rows * (2 * width if layer else width) * WORD_BYTES
        bias = head_bias[first_symbol:last_symbol]
        rank_logits = logits[n + 1, :, first_symbol:last_symbol]
        _put_logits(bias, packed, now.ctypes.data + head_place, width, sums, rank_logits)
        phase += 1
        barrier(arrivals, rank, phase, sched_yield)


def pack_gate_rows(matrix: FloatArray) -> FloatArray:
    """Packs a matrix for `multiply_columns`.

    Args:
        matrix: float32 [N, K].

    Returns:
        float32 [ceil(N / R), K, R] with R = `GATE_BLOCK_ROWS`, flat; rows of zeros fill up the last
        block. The numbers of a block are then read from the first byte to the last.
    """
    rows, inner = matrix.shape
    padded = np.zeros((-(-rows // GATE_BLOCK_ROWS), GATE_BLOCK_ROWS, inner), np.float32)
    padded.reshape(-1, inner)[:rows] = matrix
    return np.ascontiguousarray(padded.transpose(0, 2, 1)).reshape(-1)


def padded_columns(columns: int) -> int:
    """Rounds a number of columns up to whole vectors."""
    return -(-columns // LANES) * LANES


_one_vector = tile("float32", rows=GATE_BLOCK_ROWS, vectors=1, adds=True)
_two_vectors = tile("float32", rows=GATE_BLOCK_ROWS, vectors=2, adds=True)


@inline
def multiply_columns(  # noqa: PLR0917 - compiled code takes them by position
    packed: int, rows: int, inner: int, columns: int, width: int, out: int
) -> None:
    """Adds ``matrix [M, K] columns [K, P]`` to ``out [M, P]``; all by address.

    Args:
        packed: float32 [M, K] from `pack_gate_rows`.
        rows: M; the last block of `GATE_BLOCK_ROWS` is always computed in full.
        inner: K, at least 1.
        columns: float32 [K, P].
        width: P, a multiple of `LANES`.
        out: float32 [M padded to `GATE_BLOCK_ROWS`, P]; added to.
    """
    stride, block_row = width * WORD_BYTES, GATE_BLOCK_ROWS * WORD_BYTES
    # Two vectors of columns, then a chunk of inner indices, stay in cache for all rows.
    for start in range(0, width, 2 * LANES):
        for begin in range(0, inner, _INNER_CHUNK):
            size = min(_INNER_CHUNK, inner - begin)
            read = columns + begin * stride + start * WORD_BYTES
            for row in range(0, rows, GATE_BLOCK_ROWS):
                left = packed + (row * inner + begin * GATE_BLOCK_ROWS) * WORD_BYTES
                sums = out + row * stride + start * WORD_BYTES
                if width - start > LANES:
                    _two_vectors(left, WORD_BYTES, block_row, size, read, stride, sums, stride)
                else:
                    _one_vector(left, WORD_BYTES, block_row, size, read, stride, sums, stride)
