"""Characters of many streams on the processor's matrix unit, as exact as float32. NumPy, Numba.

The unit multiplies bfloat16 alone, of eight binary digits. A float32 is split into two of them, and
of the four products of halves the three that count are added up in float32: sixteen digits, an
error of a hundred-thousandth, at a fraction of the time of a product in float32. Threads share the
work as in ``model.writing_kernel``. Letters: S streams, V vocabulary, H hidden, L layers.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.cell_kernels import bfloat16_bits, tanh
from model.compiled import Kernel, compiled
from model.native_calls import meet, multiply_in_blocks, release
from model.writing_kernel import draw

Array = npt.NDArray[Any]

UNITS: Final = 32
"""Hidden units of a block, whose sums stay in the fastest cache until they are used."""
_HALF: Final = np.float32(0.5)
_DIGITS: Final = np.uint32(16)
_BITS, _NUMBER = 2, 4
"""Bytes of a bfloat16 and of a float32."""


@compiled
def _split(number: Any) -> tuple[Any, Any]:
    """Returns the bits of the nearest bfloat16, and of the one nearest to what is left."""
    high = np.uint32(bfloat16_bits(number))
    rest = number - np.uint32(high << _DIGITS).view(np.float32)
    return np.uint16(high), np.uint16(bfloat16_bits(rest))


@Kernel
def split_rows(numbers: Array, out: Array, first: int) -> None:
    """Puts the upper halves of [S, H] into the first S rows of out, the lower ones below.

    Args:
        numbers: [S, H].
        out: [2S, K].
        first: column of out that the first one goes to.
    """
    streams = len(numbers)
    for s in range(streams):
        row, high, low = numbers[s], out[s, first:], out[streams + s, first:]
        for j in range(len(row)):
            high[j], low[j] = _split(row[j])


@Kernel
def split_matrix(matrix: Array, high: Array, low: Array) -> None:
    """Puts the halves of [N, K], K even, into [K / 2, N, 2], as the matrix unit reads them."""
    rows, columns = matrix.shape
    for k in range(columns // 2):
        for n in range(rows):
            high[k, n, 0], low[k, n, 0] = _split(matrix[n, 2 * k])
            high[k, n, 1], low[k, n, 1] = _split(matrix[n, 2 * k + 1])


@compiled
def _products(  # noqa: PLR0917 - compiled code takes them by position
    product: Array, streams: int, rows: int, inner: int, left: int, high: int, low: int, sums: int
) -> None:
    """Puts the three products of halves into [3S, N], one below the other; all by address."""
    multiply_in_blocks(product[0], 2 * streams, rows, inner, left, high, sums)
    third = sums + 2 * streams * rows * _NUMBER
    multiply_in_blocks(product[0], streams, rows, inner, left, low, third)


@compiled
def _cell_step(  # noqa: PLR0917
    sums: Array, streams: int, s: int, added: Array, cell: Array, hidden: Array, first: int
) -> None:
    """Makes a step of some units of a layer for one stream.

    Args:
        sums: [4, 3S, U], of the units' four gates.
        streams: S.
        s: which stream.
        added: [4H], what else goes into the gates.
        cell: [H].
        hidden: [U], written.
        first: of the units.
    """
    # Slices, for what is looked up at a sum of numbers is not done in vectors: it may be below 0.
    width, two, three = len(cell), streams + s, 2 * streams + s
    i_one, i_two, i_three, i_added = sums[0, s], sums[0, two], sums[0, three], added[first:]
    f_one, f_two, f_three = sums[1, s], sums[1, two], sums[1, three]
    o_one, o_two, o_three = sums[2, s], sums[2, two], sums[2, three]
    g_one, g_two, g_three = sums[3, s], sums[3, two], sums[3, three]
    f_added, o_added = added[width + first :], added[2 * width + first :]
    g_added, own = added[3 * width + first :], cell[first:]
    for j in range(len(hidden)):
        # The rows of the first three are halved: see ``LayerWeights``.
        i = tanh(i_one[j] + i_two[j] + i_three[j] + i_added[j]) * _HALF + _HALF
        f = tanh(f_one[j] + f_two[j] + f_three[j] + f_added[j]) * _HALF + _HALF
        o = tanh(o_one[j] + o_two[j] + o_three[j] + o_added[j]) * _HALF + _HALF
        after = own[j] * f + i * tanh(g_one[j] + g_two[j] + g_three[j] + g_added[j])
        own[j] = after
        hidden[j] = o * tanh(after)


@compiled
def _put_halves(numbers: Array, out: Array, place: int, distance: int) -> None:
    """Puts the upper halves of some numbers at a place, the lower ones at a distance from it."""
    upper, lower = out[place:], out[place + distance :]
    for j in range(len(numbers)):
        upper[j], lower[j] = _split(numbers[j])


@compiled
def _head_row(sums: Array, streams: int, s: int, bias: Array, logits: Array) -> None:
    """Puts the logits of some symbols for one stream into a row."""
    one, two, three = sums[s], sums[streams + s], sums[2 * streams + s]
    for v in range(len(bias)):
        logits[v] = one[v] + two[v] + three[v] + bias[v]


@Kernel
def write_streams(  # noqa: PLR0917
    part: int,
    clocks: Array,
    pause: int,
    product: Array,
    table: Array,
    biases: Array,
    head_bias: Array,
    high: Array,
    low: Array,
    operands: Array,
    sums: Array,
    hidden: Array,
    cell: Array,
    logits: Array,
    noise: Array,
    scale: Any,
    drawn: Array,
    ids: Array,
) -> None:
    """Does a thread's part of writing; all parts must be at it at the same time.

    Args:
        part: which one this is.
        clocks: of ``model.team``.
        pause: see ``model.native_calls.yield_address``.
        product: of ``model.block_product``.
        table: [V, 4H], what each character adds to the first layer's gates.
        biases: [L - 1, 4H].
        head_bias: [V].
        high: this part's rows of each layer and of the head, one after the other, as `split_matrix`
            leaves their upper halves; of a layer one block of `UNITS` units after the other, in it
            one gate after the other.
        low: the lower halves.
        operands: [2, M], in turns what the products take before and after a character: of each
            layer and of the head [2S, K], as `split_rows` leaves it. K is H for the first layer and
            the head; else the output of the layer below and the layer's own hidden state.
        sums: at least [12S * UNITS] and [3S * V], written over.
        hidden: [UNITS], written over.
        cell: [L, S, H].
        logits: [N + 1, S, V]; the first ones are given, the others are written.
        noise: [N, S, V], Gumbel.
        scale: of the logits: 1 / temperature.
        drawn: [S], written over.
        ids: [N, S], the characters that are drawn; written.
    """
    parts = len(clocks) - 1
    layers, streams, width = cell.shape
    symbols = len(head_bias)
    first, last = width * part // parts, width * (part + 1) // parts
    first_row, last_row = symbols * part // parts, symbols * (part + 1) // parts
    count, head_rows = last - first, last_row - first_row
    highs, lows, scratch = high.ctypes.data, low.ctypes.data, sums.ctypes.data
    blocks = (count + UNITS - 1) // UNITS
    turn = clocks[part, 0]
    for n in range(len(ids)):
        for s in range(streams):
            drawn[s] = draw(logits[n, s], noise[n, s], scale)
            if part == 0:
                ids[n, s] = drawn[s]
        now, then = operands[n % 2], operands[1 - n % 2]
        weights, place = 0, 0
        for layer in range(layers):
            inner = 2 * width if layer else width
            above = place + 2 * streams * inner
            inner_above = width if layer == layers - 1 else 2 * width
            for number in range(blocks):
                # Back and forth: what the cache holds of the weights is what was read last.
                block = number if n % 2 == 0 else blocks - 1 - number
                start = block * UNITS
                size = min(UNITS, count - start)
                for gate in range(4):
                    offset = (weights + (4 * start + gate * size) * inner) * _BITS
                    _products(
                        product,
                        streams,
                        size,
                        inner,
                        now.ctypes.data + place * _BITS,
                        highs + offset,
                        lows + offset,
                        scratch + gate * 3 * streams * size * _NUMBER,
                    )
                gates = sums[: 12 * streams * size].reshape(4, 3 * streams, size)
                some = hidden[:size]
                for s in range(streams):
                    added = biases[layer - 1] if layer else table[drawn[s]]
                    _cell_step(gates, streams, s, added, cell[layer, s], some, first + start)
                    own = place + s * inner + inner - width + first + start
                    _put_halves(some, then, own, streams * inner)
                    up = above + s * inner_above + first + start
                    _put_halves(some, now, up, streams * inner_above)
            turn += 1
            meet(clocks, part, turn, pause)
            weights += 4 * inner * count
            place = above
        if head_rows:
            _products(
                product,
                streams,
                head_rows,
                width,
                now.ctypes.data + place * _BITS,
                highs + weights * _BITS,
                lows + weights * _BITS,
                scratch,
            )
            found = sums[: 3 * streams * head_rows].reshape(3 * streams, head_rows)
            for s in range(streams):
                _head_row(
                    found,
                    streams,
                    s,
                    head_bias[first_row:last_row],
                    logits[n + 1, s, first_row:last_row],
                )
        turn += 1
        meet(clocks, part, turn, pause)
    release(product[1])
