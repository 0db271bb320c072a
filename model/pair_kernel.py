"""Characters of one or many streams by a network that was trained in bfloat16. Numba.

What such a network has learned it has learned with rounded matrices and rounded hidden states; here
both are rounded as they were then. A matrix then takes half of the cache, which for one stream is
most of the time, and many streams have the products of ``model.pair_product``. Cell state, gates
and logits are float32.

Threads share the units and meet once a layer, as in ``model.writing_kernel``. Letters: S streams, V
vocabulary, H hidden, L layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model.cell_vectors import step_units
from model.compiled import Kernel, compiled
from model.draw_kernel import draw_all, probability
from model.matrix_unit import let_go, set_up
from model.native_calls import meet
from model.pair_product import PANEL, ROWS_OF_A_BLOCK, up_to
from model.processor import HAS_MATRIX_UNIT
from model.writing_product import STEP, multiply

Array = npt.NDArray[Any]

_UNITS, _UNITS_OF_MANY = 32, 32 if HAS_MATRIX_UNIT else 64
_BITS, _NUMBER = 2, 4
"""Bytes of a bfloat16 and of a float32."""


@compiled
def units_of_a_block(streams: int) -> int:
    """Returns how many hidden units a block has.

    Four rows of 32 are eight vectors, what a single row is done with. With many rows it pays that
    products stop less often for a step of the cell.
    """
    return _UNITS_OF_MANY if streams >= ROWS_OF_A_BLOCK else _UNITS


@compiled
def _columns_of(units: int, of_a_block: int) -> int:
    """Returns how many columns the blocks of so many units have."""
    rest = units % of_a_block
    return 4 * (units - rest) + up_to(4 * rest, PANEL)


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
        clocks: of ``model.team``.
        pause: see ``model.native_calls.yield_address``.
        table: [V, 4H], what each character adds to the first layer's gates.
        biases: [L - 1, 4H].
        head_bias: [V].
        weights: this part's pairs, one matrix after the other: of each layer one block of units
            after the other (four rows of each, one gate after the other), then of the head
            its symbols; each filled up to whole panels, and packed for
            ``model.writing_product``.
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
    held = up_to(rows, PANEL)
    units = units_of_a_block(streams)
    blocks = (count + units - 1) // units
    drawn, scores = np.empty(streams, np.int64), np.empty(symbols, np.float32)
    first_stream, last_stream = streams * part // parts, streams * (part + 1) // parts
    scratch = sums.ctypes.data
    line = width * _NUMBER
    turn = clocks[part, 0]
    set_up(streams)
    for n in range(len(ids)):
        draw_all(logits, noise, n, scale, drawn, scores)
        for s in range(first_stream, last_stream):
            ids[n, s] = drawn[s]
            own[n, s] = probability(logits, n, s, drawn[s], scores)
        now, then = operands[n % 2].ctypes.data, operands[1 - n % 2].ctypes.data
        matrices = weights.ctypes.data
        for layer in range(layers):
            inner = up_to(2 * width if layer else width, STEP)
            place = width if layer else 0
            above_inner = up_to(2 * width if layer + 1 < layers else width, STEP)
            after = streams * inner * _BITS
            for number in range(blocks):
                # Back and forth: what the cache holds of the weights is what was read last.
                block = number if n % 2 == 0 else blocks - 1 - number
                start = block * units
                size, unit = min(units, count - start), first + start
                packed, columns = matrices + start * 4 * inner * _BITS, up_to(4 * size, PANEL)
                multiply(streams, columns, inner, now, packed, scratch)
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
            meet(clocks, part, turn, pause)
            matrices += _columns_of(count, units) * inner * _BITS
            now, then = now + after, then + after
        read = now if layers > 1 else then - streams * up_to(width, STEP) * _BITS
        multiply(streams, held, up_to(width, STEP), read, matrices, scratch)
        for s in range(streams):
            for v in range(rows):
                logits[n + 1, s, first_row + v] = sums[s * held + v] + head_bias[first_row + v]
        turn += 1
        meet(clocks, part, turn, pause)
    let_go()
