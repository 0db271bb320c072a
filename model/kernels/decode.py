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

from typing import Any, Final

import numpy as np

from model.kernels.amx import configure_tiles, release_tiles
from model.kernels.cell_step import DecodingNorm, complete_sums, find_scales, step_decoding
from model.kernels.cpu import HAS_AMX
from model.kernels.dtypes import WORD_BYTES, Array
from model.kernels.gumbel import draw_all, record_drawn
from model.kernels.ir import address
from model.kernels.jit import Kernel, inline, inline_too, merged
from model.kernels.matmul import multiply
from model.kernels.packing import PANEL, padded_depth, round_up, words_of
from model.kernels.threads import barrier, rank_range

_UNITS_OF_FEW: Final = 32
"""Units of a block for few streams: their four gates are eight vectors, one block of a row."""
_UNITS_OF_MANY: Final = 32 if HAS_AMX else 64
"""Units of a block for many streams: without AMX, larger blocks interrupt the products less often
for a step of the cell."""
MANY_STREAMS: Final = 8
"""Streams from which blocks are the larger ones."""
_VECTOR: Final = 16
"""Hidden units that are whole vectors at every SIMD level."""
_Outs = tuple[tuple[int, int, int], tuple[int, int, int]]
"""Where the hidden state is written, see `generate_decoding`."""


@inline_too
def unit_range(hidden: int, rank: int, size: int) -> tuple[int, int]:
    """Returns the first of a rank's hidden units and their end: whole vectors, as they are fast."""
    first, last = rank_range(round_up(hidden, _VECTOR) // _VECTOR, rank, size)
    return first * _VECTOR, min(last * _VECTOR, hidden)


@inline_too
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
    return padded_depth(2 * hidden if layer else hidden, operands.itemsize)


@merged
def _multiply(
    operands: Array, now: int, place: int, m: int, inner: int, packed: int, n: int, sums: int
) -> None:
    """Writes ``sums [M, N] = operands [M, K] packed [K, N]``.

    Args:
        operands: see the module.
        now: 0 or 1, which of the two.
        place: of the first number there.
        m: M.
        inner: K, padded.
        packed: address of the matrix.
        n: N, a multiple of `PANEL`.
        sums: address of float32 [M, N]; written.
    """
    left, row, sums_row = address(operands, (now, place)), inner * operands.itemsize, n * WORD_BYTES
    words = row // WORD_BYTES
    multiply(operands, (m, n, words, left, row, packed, sums, sums_row, False, False))


@merged
def _step_layer(
    rank: int,
    arrivals: Array,
    sched_yield: int,
    phase: int,
    layer: int,
    units: tuple[int, int],  # the thread's first unit, and the end of its units
    operands: Array,
    now: int,  # which operands are read; if 1, the last block comes first
    place: int,  # of the layer's operand
    packed: int,  # address of the thread's packed blocks of the layer
    sums: Array,  # float32, scratch, see `decode_block`
    added: Array,  # float32 [N, 4H], table or biases
    rows: Array,  # int64 [S], of `added`
    cell: Array,  # float32 [L, S, H], updated
    outs: _Outs,
    norm: DecodingNorm | None,
) -> int:
    """Steps a thread's units of one layer for all streams, one block of units after the other.

    Normalised gates need the squares of all units: their blocks are stepped after a barrier.

    Returns:
        The phase, see `barrier`.
    """
    _, streams, hidden = cell.shape
    inner, block_units = _operand_width(hidden, layer, operands), units_per_block(streams)
    (first, last), words = units, words_of(inner, operands.itemsize)
    blocks = (last - first + block_units - 1) // block_units
    for number in range(blocks):
        start = block_units * (blocks - 1 - number if now else number)
        size, unit = min(block_units, last - first - start), first + start
        columns, kept = round_up(4 * size, PANEL), 0 if norm is None else 4 * streams * start
        matrix, sums_at = packed + start * 4 * words * WORD_BYTES, address(sums, (kept,))
        _multiply(operands, now, place, streams, inner, matrix, columns, sums_at)
        # The sums of a block are still in the L1 cache when the cells are stepped.
        if norm is None:
            step_decoding(
                sums, 0, columns, size, added, rows, unit, cell, layer, operands, outs, None, rank
            )
        else:
            complete_sums(sums, kept, columns, size, added, rows, unit, norm.shared)
    if norm is not None:
        phase = barrier(arrivals, rank, phase, sched_yield)
        find_scales(norm.shared, norm.epsilon, norm.scales[rank])
        for start in range(0, last - first, block_units):
            size = min(block_units, last - first - start)
            step_decoding(
                sums, 4 * streams * start, round_up(4 * size, PANEL), size, added, rows,
                first + start, cell, layer, operands, outs, norm, rank,
            )  # fmt: skip
    return phase


@merged
def _head_logits(
    operands: Array,
    now: int,  # which operands are read
    place: int,  # of what the head reads
    hidden: int,
    packed: int,  # address of the thread's symbols of the head
    sums: Array,  # float32 [S * symbols padded to `PANEL`] or more, scratch
    bias: Array,  # float32 [V]
    symbols: tuple[int, int],  # the thread's first symbol, and the end of its symbols
    logits: Array,  # float32 [S, V], written
) -> None:
    """Writes the logits of a thread's symbols."""
    first, count = symbols[0], symbols[1] - symbols[0]
    columns, inner = round_up(count, PANEL), _operand_width(hidden, 0, operands)
    _multiply(operands, now, place, len(logits), inner, packed, columns, address(sums, (0,)))
    for s in range(len(logits)):
        for v in range(count):
            logits[s, first + v] = sums[s * columns + v] + bias[first + v]


@Kernel
def decode_block(
    rank: int,
    arrivals: Array,  # int64 [size + 1, a cache line], see `model.kernels.threads`
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
    own_symbols, units = rank_range(symbols, rank, size), unit_range(hidden, rank, size)
    drawn, scores = np.empty(streams, np.int64), np.empty(symbols, np.float32)
    columns = _packed_columns(units[1] - units[0], units_per_block(streams))
    same_row, phase = np.zeros(streams, np.int64), arrivals[rank, 0]
    configure_tiles(streams)
    for n in range(len(ids)):
        # Every rank draws all characters: cheaper than one more barrier.
        draw_all(logits, noise, n, scale, rules, drawn, scores)
        own_streams = rank_range(streams, rank, size)
        record_drawn(logits, n, own_streams, drawn, scores, ids, probabilities)
        now, then, place = n % 2, 1 - n % 2, 0
        packed, reading, reader = address(weights, (0,)), then, 0
        for layer in range(layers):
            inner = _operand_width(hidden, layer, operands)
            # A single layer's next operand is what the head reads; otherwise the head has its own.
            reading, reader = (then, 0) if layers == 1 else (now, place + streams * inner)
            reader_width = _operand_width(hidden, 1 if layer + 1 < layers else 0, operands)
            # An upper layer's operand is [output of the layer below, own hidden state].
            own = then, place + (hidden if layer else 0), inner
            outs = own, (reading, reader, reader_width)
            # Odd characters go backwards: a cache too small for the weights holds their end.
            phase = _step_layer(
                rank, arrivals, sched_yield, phase, layer, units, operands, now, place, packed,
                sums, biases[layer - 1 :] if layer else table, same_row if layer else drawn, cell,
                outs, norm,
            )  # fmt: skip
            # The next product reads the hidden state of all units.
            phase = barrier(arrivals, rank, phase, sched_yield)
            packed += columns * words_of(inner, operands.itemsize) * WORD_BYTES
            place += streams * inner
        _head_logits(
            operands, reading, reader, hidden, packed, sums, head_bias, own_symbols, logits[n + 1]
        )
        phase = barrier(arrivals, rank, phase, sched_yield)
    release_tiles()
