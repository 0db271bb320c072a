"""Many characters of one or more texts in one call of compiled code. Numba.

Threads share the units of each layer and meet at a barrier between layers. The products are of
float32 or of bfloat16, as ``operands`` is. In bfloat16, matrices and hidden states are rounded as
they were in training; cells, sums and logits stay float32. A text has the same bits beside any
others and with any number of threads.

Layouts of `decode_block`:

- weights, flat: a thread's packed right matrices (``model.kernels.packing``), one after the other.
  Of each layer one matrix for each block of units, with four gates, one after the other; then the
  thread's symbols of the head.
- operands: what the products read, in turns before and after a character. Of each layer and of the
  head [S, K], flat. K is H for the first layer and for the head. For the others it is 2H: output of
  the layer below and own hidden state. K is padded with zeros.

Letters: N characters, S streams, V vocabulary, H hidden, L layers, U hidden units of a thread.
Gates are in the order i, f, o, g, and the rows of the first three are halved: see ``LayerWeights``.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from model.kernels.cpu import HAS_AMX
from model.kernels.dtypes import WORD_BYTES, Array
from model.kernels.gumbel import draw_all, record_drawn
from model.kernels.jit import Kernel, inline
from model.kernels.lstm_cell import place, step_units
from model.kernels.matmul import begin, end, multiply
from model.kernels.normalised_cell import complete_sums, inverse_rms, step_normalised_units
from model.kernels.packing import PANEL, depth_of, round_up, words_of
from model.kernels.threads import barrier, rank_range

_UNITS_OF_FEW: Final = 32
"""Units of a block for few streams: their four gates are eight vectors, one block of a row."""
_UNITS_OF_MANY: Final = 32 if HAS_AMX else 64
"""Units of a block for many streams: without AMX, larger blocks interrupt the products less often
for a step of the cell."""
MANY_STREAMS: Final = 8
"""Streams from which blocks are the larger ones."""


_UNITS_OF_VECTORS: Final = 16
"""Hidden units that are whole vectors at every SIMD level."""


def unit_range(hidden: int, rank: int, size: int) -> tuple[int, int]:
    """Returns the first of a rank's hidden units and their end.

    The borders do not divide a vector, so a unit is in a vector, or is not, with any number of
    ranks. LLVM may round a single unit differently.
    """
    first = hidden * rank // size // _UNITS_OF_VECTORS * _UNITS_OF_VECTORS
    last = hidden * (rank + 1) // size // _UNITS_OF_VECTORS * _UNITS_OF_VECTORS
    return first, last if rank + 1 < size else hidden


_unit_range = inline(unit_range)


class DecodingNorm(NamedTuple):
    """What layers with normalised gates have besides those of an LSTM."""

    gains: Array
    """float32 [L, 4H], halved like the biases."""
    biases: Array
    """float32 [L, 4H]."""
    epsilon: Any
    """float32."""
    scales: Array
    """float32 [ranks, S], 1 / rms of each stream; scratch."""
    squares: Array
    """float32 [S, H], of the sums of each unit; scratch that all ranks share."""


_Outs = tuple[int, int, int]
"""Where the hidden state is written: the layer's operand for the next character, [S, K]; the
operand of what reads the layer, [S, width]; and that width."""


@inline
def units_per_block(streams: int) -> int:
    """Returns the hidden units whose gates are computed before their cells are stepped."""
    return _UNITS_OF_MANY if streams >= MANY_STREAMS else _UNITS_OF_FEW


@inline
def _packed_columns(units: int, block_units: int) -> int:
    """Returns the columns of a layer's packed blocks; the last block is padded to panels."""
    rest = units % block_units
    return 4 * (units - rest) + round_up(4 * rest, PANEL)


@inline
def _operand_width(hidden: int, layer: int, operands: Array) -> int:
    """Returns K of a layer's products, padded: H for the first layer, 2H for those above."""
    return depth_of(2 * hidden if layer else hidden, operands)


@inline
def _step_layer(  # noqa: PLR0917 - compiled code takes them by position
    layer: int,
    first: int,  # of the thread's units
    last: int,  # their end
    backwards: bool,  # whether to begin with the last block
    operands: Array,  # only the dtype matters here
    operand: int,  # [S, K], what the products read
    packed: int,  # the thread's packed blocks of the layer
    sums: int,  # float32 [S, 4 * units of a block], scratch
    bias: int,  # float32, the table [V, 4H] of the first layer; otherwise the biases [4H]
    drawn: Array,  # int64 [S], rows of the table
    cell: Array,  # float32 [L, S, H], updated
    outs: _Outs,
    norm: DecodingNorm | None,
) -> None:
    """Steps a thread's units of one layer for all streams, one block of units after the other.

    Matrices are passed by address, because an array view costs more than a small step of the cell.
    Normalised gates need the squares of all units: here their sums are only completed, and
    `_step_normalised_layer` goes on.
    """
    _, streams, hidden = cell.shape
    inner, number_bytes = _operand_width(hidden, layer, operands), operands.itemsize
    words = words_of(inner, operands)
    gate_bytes, count, block_units = hidden * WORD_BYTES, last - first, units_per_block(streams)
    blocks = (count + block_units - 1) // block_units
    for number in range(blocks):
        block = blocks - 1 - number if backwards else number
        start = block * block_units
        size, unit = min(block_units, count - start), first + start
        columns = round_up(4 * size, PANEL)
        matrix, row_bytes = packed + start * 4 * words * WORD_BYTES, columns * WORD_BYTES
        left_row, block_sums = inner * number_bytes, sums
        if norm is not None:
            block_sums = _sums_of_block(sums, streams, start)
        multiply(
            operands,
            (streams, columns, words, operand, left_row, matrix, block_sums, row_bytes, False),
        )
        # The sums of a block are still in the L1 cache when the cells are stepped.
        for s in range(streams):
            row = drawn[s] * 4 * gate_bytes if layer == 0 else 0
            own_sums, added = block_sums + s * row_bytes, bias + row + unit * WORD_BYTES
            if norm is not None:
                squares = place(norm.squares, s, unit)
                arguments = size, own_sums, size * WORD_BYTES, added, gate_bytes, squares
                complete_sums(norm.squares, arguments)
            else:
                cell_at, next_at, reader_at = _places(operands, cell, layer, s, unit, outs)
                step_units(
                    operands,
                    (
                        size, own_sums, size * WORD_BYTES, added, gate_bytes, cell_at, next_at,
                        reader_at,
                    ),
                )  # fmt: skip


@inline
def _sums_of_block(sums: int, streams: int, start: int) -> int:
    """Returns the address of the sums of a layer's block, if those of all blocks are kept."""
    return sums + streams * 4 * start * WORD_BYTES


@inline
def _places(  # noqa: PLR0917
    operands: Array, cell: Array, layer: int, stream: int, unit: int, outs: _Outs
) -> tuple[int, int, int]:
    """Returns the addresses of a unit: its cell, and its hidden state in both operands."""
    _, streams, hidden = cell.shape
    next_operand, reader, reader_width = outs
    # An upper layer's operand is [output of the layer below, own hidden state].
    own_place = hidden if layer else 0
    row = stream * _operand_width(hidden, layer, operands) + own_place
    return (
        cell.ctypes.data + ((layer * streams + stream) * hidden + unit) * WORD_BYTES,
        next_operand + (row + unit) * operands.itemsize,
        reader + (stream * reader_width + unit) * operands.itemsize,
    )


@inline
def _step_normalised_layer(  # noqa: PLR0917
    layer: int,
    first: int,  # of the thread's units
    last: int,  # their end
    rank: int,
    operands: Array,  # only the dtype matters here
    sums: int,  # float32, those of all blocks, from `_step_layer`
    cell: Array,  # float32 [L, S, H], updated
    outs: _Outs,
    norm: DecodingNorm,
) -> None:
    """Steps a thread's units of one layer with normalised gates, when all squares are written."""
    _, streams, hidden = cell.shape
    block_units, gate_bytes = units_per_block(streams), hidden * WORD_BYTES
    for s in range(streams):
        norm.scales[rank, s] = inverse_rms(norm.squares[s], norm.epsilon)
        for start in range(0, last - first, block_units):
            size, unit = min(block_units, last - first - start), first + start
            row_bytes = round_up(4 * size, PANEL) * WORD_BYTES
            cell_at, next_at, reader_at = _places(operands, cell, layer, s, unit, outs)
            step_normalised_units(
                operands,
                (
                    size,
                    _sums_of_block(sums, streams, start) + s * row_bytes,
                    size * WORD_BYTES,
                    place(norm.scales, rank, s),
                    place(norm.gains, layer, unit),
                    place(norm.biases, layer, unit),
                    gate_bytes,
                    cell_at,
                    next_at,
                    reader_at,
                ),
            )


@inline
def _head_logits(  # noqa: PLR0917
    operands: Array,  # only the dtype matters here
    hidden: int,
    operand: int,  # [S, K], what the head reads
    packed: int,  # the thread's symbols of the head
    sums: Array,  # float32 [S * symbols padded to `PANEL`] or more, scratch
    bias: Array,  # float32 [V]
    symbols: tuple[int, int],  # the thread's first symbol, and the end of its symbols
    logits: Array,  # float32 [S, V], written
) -> None:
    """Writes the logits of a thread's symbols."""
    first, count = symbols[0], symbols[1] - symbols[0]
    columns, inner = round_up(count, PANEL), _operand_width(hidden, 0, operands)
    words, left_row = words_of(inner, operands), inner * operands.itemsize
    place, row_bytes = sums.ctypes.data, columns * WORD_BYTES
    multiply(
        operands,
        (len(logits), columns, words, operand, left_row, packed, place, row_bytes, False),
    )
    for s in range(len(logits)):
        for v in range(count):
            logits[s, first + v] = sums[s * columns + v] + bias[first + v]


@Kernel
def decode_block(  # noqa: PLR0917 - compiled code takes them by position
    rank: int,
    arrivals: Array,  # int64 [size + 1, ARRIVALS_WIDTH], see `model.kernels.threads`
    sched_yield: int,  # address of the function, 0 for none
    table: Array,  # float32 [V, 4H], what each character adds to the first layer's gates
    biases: Array,  # float32 [L - 1, 4H], of the upper layers; 0 if gates are normalised
    head_bias: Array,  # float32 [V]
    weights: Array,  # uint32, the rank's, see the module
    sums: Array,  # float32 [S * padded columns of a block, of a layer if gates are normalised, or
    # S * padded symbols if more], scratch
    operands: Array,  # float32 or bfloat16 [2, M], see the module
    cell: Array,  # float32 [L, S, H], updated
    logits: Array,  # float32 [N + 1, S, V], the first are read, the others are written
    noise: Array,  # float32 [N, S, V], Gumbel
    scale: Any,  # float32, 1 / temperature
    rules: Array,  # float64 [5], see `draw_truncated`; [0] without truncation
    norm: DecodingNorm | None,  # of normalised gates
    ids: Array,  # int64 [N, S], the characters, written
    probabilities: Array,  # float32 [N, S], theirs at temperature 1, written
) -> None:
    """Runs a rank's share of N characters in S streams; all ranks must run at the same time."""
    size, (layers, streams, hidden), symbols = len(arrivals) - 1, cell.shape, len(head_bias)
    own_symbols, (first, last) = rank_range(symbols, rank, size), _unit_range(hidden, rank, size)
    drawn, scores = np.empty(streams, np.int64), np.empty(symbols, np.float32)
    scratch, columns = sums.ctypes.data, _packed_columns(last - first, units_per_block(streams))
    head_width, number_bytes = _operand_width(hidden, 0, operands), operands.itemsize
    phase = arrivals[rank, 0]
    begin(operands, streams)
    for n in range(len(ids)):
        # Every rank draws all characters: cheaper than one more barrier.
        draw_all(logits, noise, n, scale, rules, drawn, scores)
        own_streams = rank_range(streams, rank, size)
        record_drawn(logits, n, own_streams, drawn, scores, ids, probabilities)
        now, then = operands[n % 2].ctypes.data, operands[1 - n % 2].ctypes.data
        packed, read = weights.ctypes.data, then
        for layer in range(layers):
            inner = _operand_width(hidden, layer, operands)
            following = streams * inner * number_bytes
            # A single layer's next operand is what the head reads; otherwise the head has its own.
            read = then if layers == 1 else now + following
            reader_width = _operand_width(hidden, 1, operands) if layer + 1 < layers else head_width
            bias = biases[layer - 1].ctypes.data if layer else table.ctypes.data
            outs = then, read, reader_width
            # Odd characters go backwards: a cache too small for the weights holds their end.
            _step_layer(
                layer, first, last, n % 2 == 1, operands, now, packed, scratch, bias, drawn, cell,
                outs, norm,
            )  # fmt: skip
            if norm is not None:
                phase = barrier(arrivals, rank, phase, sched_yield)
                _step_normalised_layer(
                    layer, first, last, rank, operands, scratch, cell, outs, norm
                )
            # The next product reads the hidden state of all units.
            phase = barrier(arrivals, rank, phase, sched_yield)
            packed += columns * words_of(inner, operands) * WORD_BYTES
            now, then = now + following, then + following
        _head_logits(operands, hidden, read, packed, sums, head_bias, own_symbols, logits[n + 1])
        phase = barrier(arrivals, rank, phase, sched_yield)
    end(operands)
