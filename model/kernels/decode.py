"""Many characters of one or more texts in one call of compiled code. Numba.

`decode_bfloat16` multiplies in bfloat16, for any number of texts; `decode_text` multiplies in
float32, for one text. Threads share the units of each layer and meet at a barrier between layers.

In bfloat16, matrices and hidden states are rounded as they were in training; cells, sums and logits
stay float32. A text has the same bits beside any others and with any number of threads.

Layouts of `decode_bfloat16`:

- weights, flat: a thread's right matrices from `pack_for_decoding`, one after the other. Of each
  layer one matrix for each block of units, with four gates, one after the other; then the thread's
  symbols of the head. N is padded with zeros to `PANEL`, K to `INNER_MULTIPLE`.
- operands: what the products read, in turns before and after a character. Of each layer and of the
  head [S, K], flat. K is H for the first layer and for the head. For the others it is 2H: output of
  the layer below and own hidden state. K is padded with zeros.

Letters: N characters, S streams, V vocabulary, H hidden, L layers, U hidden units of a thread.
Gates are in the order i, f, o, g, and the rows of the first three are halved: see ``LayerWeights``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from model.kernels.amx import configure_tiles, release_tiles
from model.kernels.barrier import barrier, rank_range
from model.kernels.cpu import HAS_AMX
from model.kernels.dtypes import BFLOAT16_BYTES, WORD_BYTES, Array
from model.kernels.gumbel import draw_all, record_drawn
from model.kernels.jit import Kernel, inline
from model.kernels.lstm_cell import step_units
from model.kernels.matmul import matmul_by_address
from model.kernels.packing import INNER_MULTIPLE, PANEL, ROWS_PER_BLOCK, round_up
from model.kernels.vecmath import tanh

_UNITS_OF_FEW: Final = 32
"""Units of a block for few streams: their four gates are eight vectors, one block of a row."""
_UNITS_OF_MANY: Final = 32 if HAS_AMX else 64
"""Units of a block for many streams: without AMX, larger blocks interrupt the products less often
for a step of the cell."""


@inline
def units_per_block(streams: int) -> int:
    """Returns the hidden units whose gates are computed before their cells are stepped."""
    return _UNITS_OF_MANY if streams >= ROWS_PER_BLOCK else _UNITS_OF_FEW


@inline
def _packed_columns(units: int, block_units: int) -> int:
    """Returns the columns of a layer's packed blocks; the last block is padded to panels."""
    rest = units % block_units
    return 4 * (units - rest) + round_up(4 * rest, PANEL)


@inline
def _operand_width(hidden: int, layer: int) -> int:
    """Returns K of a layer's products, padded: H for the first layer, 2H for those above."""
    return round_up(2 * hidden if layer else hidden, INNER_MULTIPLE)


@inline
def _step_layer(  # noqa: PLR0917 - compiled code takes them by position
    layer: int,
    first: int,  # of the thread's units
    last: int,  # their end
    backwards: bool,  # whether to begin with the last block
    operand: int,  # bfloat16 [S, K], what the products read
    packed: int,  # the thread's packed blocks of the layer
    sums: int,  # float32 [S, 4 * units of a block], scratch
    bias: int,  # float32, the table [V, 4H] of the first layer; otherwise the biases [4H]
    drawn: Array,  # int64 [S], rows of the table
    cell: Array,  # float32 [L, S, H], updated
    next_operand: int,  # bfloat16 [S, K], the layer's operand for the next character, written
    reader: int,  # bfloat16 [S, reader_width], the operand of what reads the layer, written
    reader_width: int,
) -> None:
    """Steps a thread's units of one layer for all streams, one block of units after the other.

    Matrices are passed by address, because an array view costs more than a small step of the cell.
    The hidden state is written to both operands.
    """
    _, streams, hidden = cell.shape
    inner = _operand_width(hidden, layer)
    # An upper layer's operand is [output of the layer below, own hidden state].
    own_place = hidden if layer else 0
    gate_bytes, count, block_units = hidden * WORD_BYTES, last - first, units_per_block(streams)
    blocks = (count + block_units - 1) // block_units
    for number in range(blocks):
        block = blocks - 1 - number if backwards else number
        start = block * block_units
        size, unit = min(block_units, count - start), first + start
        columns = round_up(4 * size, PANEL)
        matrix = packed + start * 4 * inner * BFLOAT16_BYTES
        matmul_by_address(streams, columns, inner, operand, matrix, sums)
        # The sums of a block are still in the L1 cache when the cells are stepped.
        for s in range(streams):
            row = drawn[s] * 4 * gate_bytes if layer == 0 else 0
            step_units(
                size,
                sums + s * columns * WORD_BYTES,
                size * WORD_BYTES,
                bias + row + unit * WORD_BYTES,
                gate_bytes,
                cell.ctypes.data + ((layer * streams + s) * hidden + unit) * WORD_BYTES,
                next_operand + (s * inner + own_place + unit) * BFLOAT16_BYTES,
                reader + (s * reader_width + unit) * BFLOAT16_BYTES,
            )


@inline
def _put_logits(sums: Array, bias: Array, first: int, last: int, logits: Array) -> None:
    """Writes the logits of a thread's symbols.

    Args:
        sums: float32 [S * symbols padded to `PANEL`] or more, products of the head.
        bias: float32 [V].
        first: first of the symbols.
        last: end of the symbols.
        logits: float32 [S, V]; written.
    """
    columns = round_up(last - first, PANEL)
    for s in range(len(logits)):
        for v in range(last - first):
            logits[s, first + v] = sums[s * columns + v] + bias[first + v]


@Kernel
def decode_bfloat16(  # noqa: PLR0917 - compiled code takes them by position
    rank: int,
    arrivals: Array,  # int64 [size + 1, ARRIVALS_WIDTH], see `model.kernels.threads`
    sched_yield: int,  # address of the function, 0 for none
    table: Array,  # float32 [V, 4H], what each character adds to the first layer's gates
    biases: Array,  # float32 [L - 1, 4H], of the upper layers
    head_bias: Array,  # float32 [V]
    weights: Array,  # bfloat16, the rank's, see the module
    operands: Array,  # bfloat16 [2, M], see the module
    sums: Array,  # float32 [S * 4 * units of a block, or S * padded symbols if more], scratch
    cell: Array,  # float32 [L, S, H], updated
    logits: Array,  # float32 [N + 1, S, V], the first are read, the others are written
    noise: Array,  # float32 [N, S, V], Gumbel
    scale: Any,  # float32, 1 / temperature
    ids: Array,  # int64 [N, S], the characters, written
    probabilities: Array,  # float32 [N, S], theirs at temperature 1, written
) -> None:
    """Runs a rank's share of N characters in S streams; all ranks must run at the same time."""
    size, (layers, streams, hidden), symbols = len(arrivals) - 1, cell.shape, len(head_bias)
    first, last = rank_range(hidden, rank, size)
    first_symbol, last_symbol = rank_range(symbols, rank, size)
    first_stream, last_stream = rank_range(streams, rank, size)
    drawn, scores = np.empty(streams, np.int64), np.empty(symbols, np.float32)
    scratch, columns = sums.ctypes.data, _packed_columns(last - first, units_per_block(streams))
    head_width, phase = _operand_width(hidden, 0), arrivals[rank, 0]
    configure_tiles(streams)
    for n in range(len(ids)):
        # Every rank draws all characters: cheaper than one more barrier.
        draw_all(logits, noise, n, scale, drawn, scores)
        record_drawn(logits, n, first_stream, last_stream, drawn, scores, ids, probabilities)
        now, then = operands[n % 2].ctypes.data, operands[1 - n % 2].ctypes.data
        packed, read = weights.ctypes.data, then
        for layer in range(layers):
            inner = _operand_width(hidden, layer)
            following = streams * inner * BFLOAT16_BYTES
            # A single layer's next operand is what the head reads; otherwise the head has its own.
            read = then if layers == 1 else now + following
            reader_width = _operand_width(hidden, 1) if layer + 1 < layers else head_width
            bias = biases[layer - 1].ctypes.data if layer else table.ctypes.data
            # Odd characters go backwards: a cache too small for the weights holds their end.
            _step_layer(
                layer, first, last, n % 2 == 1, now, packed, scratch, bias, drawn, cell, then,
                read, reader_width,
            )  # fmt: skip
            # The next product reads the hidden state of all units.
            phase += 1
            barrier(arrivals, rank, phase, sched_yield)
            packed += columns * inner * BFLOAT16_BYTES
            now, then = now + following, then + following
        padded_symbols = round_up(last_symbol - first_symbol, PANEL)
        matmul_by_address(streams, padded_symbols, head_width, read, packed, scratch)
        _put_logits(sums, head_bias, first_symbol, last_symbol, logits[n + 1])
        phase += 1
        barrier(arrivals, rank, phase, sched_yield)
    release_tiles()


_HALF: Final = np.float32(0.5)


@inline
def draw_one(logits: Array, noise: Array, scale: Any) -> int:
    """Returns the symbol with the largest score; see ``model.sampling.distribution.choose``.

    Args:
        logits: float32 [V].
        noise: float32 [V], Gumbel.
        scale: float32, 1 / temperature.
    """
    symbol, best = 0, logits[0] * scale + noise[0]
    for v in range(1, len(logits)):
        score = logits[v] * scale + noise[v]
        if score > best:
            symbol, best = v, score
    return symbol


@inline
def _gate_sums(matrix: Array, x: Array, unit: int, width: int) -> tuple[Any, Any, Any, Any]:
    """Returns the products of a unit's four rows: four sums share each load of x.

    Args:
        matrix: float32 [4H, K].
        x: float32 [K].
        unit: index of the unit.
        width: H.
    """
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
def _text_layer(  # noqa: PLR0917 - compiled code takes them by position
    matrix: Array,
    x: Array,
    bias: Array,
    cell: Array,
    out: Array,
    sums: Array,
    first: int,
    backwards: bool,
) -> None:
    """Steps a thread's units of one layer of one text.

    Args:
        matrix: float32 [4H, K].
        x: float32 [K], what the layer reads.
        bias: float32 [4H], the biases of the gates, or a row of the input table.
        cell: float32 [H]; updated.
        out: float32 [H], the hidden state; written.
        sums: float32 [4, U]; scratch.
        first: first of the units.
        backwards: whether to begin with the last unit.
    """
    width, count = len(cell), sums.shape[1]
    for place in range(count):
        j = count - 1 - place if backwards else place
        sums[0, j], sums[1, j], sums[2, j], sums[3, j] = _gate_sums(matrix, x, first + j, width)
    # All sums first, then all cells: LLVM vectorises the loop over cells.
    i_sums, f_sums, o_sums, g_sums = sums[0], sums[1], sums[2], sums[3]
    i_bias, f_bias = bias[first:], bias[width + first :]
    o_bias, g_bias = bias[2 * width + first :], bias[3 * width + first :]
    cells, hidden = cell[first:], out[first:]
    for j in range(count):
        # sigmoid(2x) = tanh(x) / 2 + 1 / 2; the rows of i, f and o are halved.
        i = tanh(i_sums[j] + i_bias[j]) * _HALF + _HALF
        f = tanh(f_sums[j] + f_bias[j]) * _HALF + _HALF
        o = tanh(o_sums[j] + o_bias[j]) * _HALF + _HALF
        after = cells[j] * f + i * tanh(g_sums[j] + g_bias[j])
        cells[j] = after
        hidden[j] = o * tanh(after)


@inline
def _text_logits(  # noqa: PLR0917
    head: Array, bias: Array, hidden: Array, first: int, last: int, logits: Array
) -> None:
    """Writes the logits of a thread's symbols of one text.

    Args:
        head: float32 [V, H].
        bias: float32 [V].
        hidden: float32 [H].
        first: first of the symbols.
        last: end of the symbols.
        logits: float32 [V]; written.
    """
    for v in range(first, last):
        row, total = head[v], np.float32(0)
        for k in range(len(hidden)):
            total += row[k] * hidden[k]
        logits[v] = total + bias[v]


@Kernel
def decode_text(  # noqa: PLR0917 - compiled code takes them by position
    rank: int,
    arrivals: Array,  # int64 [size + 1, ARRIVALS_WIDTH], see `model.kernels.threads`
    sched_yield: int,  # address of the function, 0 for none
    table: Array,  # float32 [V, 4H], what each character adds to the first layer's gates
    first_matrix: Array,  # float32 [4H, H]
    upper_matrices: Array,  # float32 [L - 1, 4H, 2H]
    biases: Array,  # float32 [L - 1, 4H], of the upper layers
    head: Array,  # float32 [V, H]
    head_bias: Array,  # float32 [V]
    joined: Array,  # float32 [2, L, 2H], updated
    cell: Array,  # float32 [L, H], updated
    logits: Array,  # float32 [N + 1, V], the first row is read, the others are written
    noise: Array,  # float32 [N, V], Gumbel
    scale: Any,  # float32, 1 / temperature
    ids: Array,  # int64 [N], the characters, written
) -> None:
    """Runs a rank's share of N characters of one text; all ranks must run at the same time.

    ``joined`` is the state in turns before and after a character: character n reads n % 2 and
    writes the other. Its rows are [output of the layer below, the layer's own hidden state].
    """
    size, layers, hidden = len(arrivals) - 1, cell.shape[0], cell.shape[1]
    first, last = rank_range(hidden, rank, size)
    first_symbol, last_symbol = rank_range(len(head_bias), rank, size)
    sums, phase = np.empty((4, last - first), np.float32), arrivals[rank, 0]
    for n in range(len(ids)):
        drawn = draw_one(logits[n], noise[n], scale)
        if rank == 0:
            ids[n] = drawn
        # Odd characters go backwards: a cache too small for the weights holds their end.
        backwards = n % 2 == 1
        before, after = joined[n % 2], joined[1 - n % 2]
        out = after[0, hidden:]
        x, bias = before[0, hidden:], table[drawn]
        _text_layer(first_matrix, x, bias, cell[0], out, sums, first, backwards)
        for layer in range(1, layers):
            # The output of the layer below goes beside the layer's own state: one product for both.
            for u in range(first, last):
                before[layer, u] = out[u]
            phase += 1
            barrier(arrivals, rank, phase, sched_yield)
            out = after[layer, hidden:]
            x, bias = before[layer], biases[layer - 1]
            matrix = upper_matrices[layer - 1]
            _text_layer(matrix, x, bias, cell[layer], out, sums, first, backwards)
        phase += 1
        barrier(arrivals, rank, phase, sched_yield)
        _text_logits(head, head_bias, out, first_symbol, last_symbol, logits[n + 1])
        phase += 1
        barrier(arrivals, rank, phase, sched_yield)
