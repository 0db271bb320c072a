"""Loss and gradients of some streams of a one-layer network, in one piece of compiled code. Numba.

For a small network the products of a step take less time than the operations between them and the
interpreter, for which threads then queue. Here a thread needs the interpreter once a step. All
products are of bfloat16 (``model.kernels.packing``) and added up in float32; loss and softmax
are float32, as they are in ``model.network.compiled_layer`` and in what surrounds it.

Letters: T time, B batch, V vocabulary, W the same rounded up to whole panels, H hidden.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from model.kernels.dtypes import Array, bfloat16_bits
from model.kernels.jit import Kernel, inline
from model.kernels.lstm_cell import sum_rows
from model.kernels.matmul import matmul, matmul_tn
from model.kernels.packing import empty_packed, empty_transposed, pack, pack_transposed, transpose
from model.kernels.sequence import sequence_backward, sequence_forward
from model.kernels.vecmath import exp, largest

_forward, _backward = inline(sequence_forward.function), inline(sequence_backward.function)
_sum_rows = inline(sum_rows.function)


@inline
def _score(  # noqa: PLR0917
    logits: Array, bias: Array, targets: Array, share: Any, slopes: Array, d_bias: Array
) -> float:
    """Returns the loss in nats, and what the loss changes by with each logit.

    Args:
        logits: [N, W] without the bias; written over.
        bias: [W].
        targets: [N].
        share: of each character in the loss.
        slopes: bfloat16 [N, W], written.
        d_bias: [W], added to.
    """
    width, loss = len(bias), 0.0
    for n in range(len(targets)):
        row, rounded = logits[n], slopes[n]
        for v in range(width):
            row[v] = row[v] + bias[v]
        most = largest(row)
        target = targets[n]
        # A number that is none, anywhere in the row, comes out of the sum below.
        wanted, total = row[target], np.float32(0)
        for v in range(width):
            number = exp(row[v] - most)
            row[v] = number
            total += number
        loss += math.log(total) + most - wanted
        scale = share / total
        for v in range(width):
            row[v] = row[v] * scale
        row[target] -= share
        for v in range(width):
            d_bias[v] += row[v]
        for v in range(width):
            rounded[v] = np.uint16(bfloat16_bits(row[v]))
    return float(loss * share)


@inline
def _times_mask(numbers: Array, mask: Array) -> None:
    """Multiplies numbers [T, B, H] by the factors of each stream, [B, H]."""
    for t in range(len(numbers)):
        for b in range(len(mask)):
            row, factors = numbers[t, b], mask[b]
            for j in range(len(row)):
                row[j] = row[j] * factors[j]


@inline
def _rounded(numbers: Array, out: Array) -> None:
    """Puts float32 [N, K] into bfloat16 [N, K]."""
    for n in range(len(numbers)):
        row, rounded = numbers[n], out[n]
        for j in range(len(row)):
            rounded[j] = np.uint16(bfloat16_bits(row[j]))


@Kernel
def train_step(  # noqa: PLR0917 - compiled code takes them by position
    clocks: Array,
    ids: Array,
    targets: Array,
    table: Array,
    bias: Array,
    recurrent: Array,
    head: Array,
    head_bias: Array,
    mask: Array,
    cells: Array,
    hiddens: Array,
    outputs: Array,
    share: Any,
    loss: Array,
    d_gates: Array,
    sides: Array,
    d_recurrent: Array,
    d_head: Array,
    d_head_bias: Array,
) -> None:
    """Runs some streams forwards and back; all that it returns is written into its arguments.

    Args:
        clocks: of ``model.kernels.threads``, for one part.
        ids: [T, B], the rows of ``table`` that count.
        targets: [T, B].
        table: [N, 4H], what can be added to the gates.
        bias: [4H].
        recurrent: [4H, H], H even; entries that are dropped are 0.
        head: [W, H]; rows beyond V are 0.
        head_bias: [W].
        mask: [B, H], factors of what the head reads; or [0, H].
        cells: [T + 1, B, H], the first given, the others written: the last one is carried on.
        hiddens: bfloat16 [T + 1, B, H], likewise.
        outputs: [T, B, H], written; the last one is carried on, in full.
        share: of each character in the loss.
        loss: [1], in nats.
        d_gates: bfloat16 [T, B, 4H], gradients of what goes into the gates.
        sides: of `packed_size` of 4H columns and TB inner indices, the same packed for
            `matmul_tn`; begins with a line of the cache.
        d_recurrent: [4H, H], the gradient.
        d_head: [W, H], the gradient.
        d_head_bias: [W], zeros; the gradient.
    """
    (steps, batch), (gates_width, width) = ids.shape, recurrent.shape
    count, symbols = steps * batch, len(head_bias)
    gates = np.empty((steps, batch, gates_width), np.float32)
    _forward(
        0, clocks, 0, table, ids, bias, recurrent, gates, cells, hiddens, outputs
    )  # fmt: skip
    # The head reads what the products take, after dropout.
    read = hiddens[1:].reshape(count, width)
    if len(mask):
        dropped = outputs.copy()
        _times_mask(dropped, mask)
        read = np.empty((count, width), np.uint16)
        _rounded(dropped.reshape(count, width), read)
    packed = empty_packed(symbols, width)
    pack(head, 0, symbols, packed)
    logits, slopes = np.empty((count, symbols), np.float32), np.empty((count, symbols), np.uint16)
    matmul(read, packed, symbols, logits)
    loss[0] = _score(logits, head_bias, targets.reshape(count), share, slopes, d_head_bias)
    # The way back: what the head read, then the head.
    packed = empty_packed(width, symbols)
    pack_transposed(head, 0, width, packed)
    outer = np.empty((steps, batch, width), np.float32)
    matmul(slopes, packed, width, outer.reshape(count, width))
    if len(mask):
        _times_mask(outer, mask)
    packed, turned = empty_packed(symbols, count), empty_transposed(width, count)
    pack_transposed(slopes, 0, symbols, packed)
    transpose(read, 0, width, turned)
    matmul_tn(count, packed, symbols, turned, width, d_head)
    # Then the layer.
    back, d_cell = np.zeros((batch, width), np.float32), np.zeros((batch, width), np.float32)
    _backward(0, clocks, 0, gates, cells, outer, recurrent, back, d_cell, d_gates)
    pack_transposed(d_gates.reshape(count, gates_width), 0, gates_width, sides)
    transpose(hiddens[:-1].reshape(count, width), 0, width, turned)
    matmul_tn(count, sides, gates_width, turned, width, d_recurrent)


@Kernel
def embed(  # noqa: PLR0917
    embedding: Array, ids: Array, mask: Array, inner: Array, x: Array, out: Array
) -> None:
    """Embeds characters, of each stream with entries dropped, for the gates of the layer.

    Args:
        embedding: [V, E], E even.
        ids: [T, B].
        mask: [B, E], factors.
        inner: [4H, E].
        x: bfloat16 [T, B, E], the embedded characters; written.
        out: [T, B, 4H], what they add to the gates; written.
    """
    (steps, batch), (gates_width, width) = ids.shape, inner.shape
    for t in range(steps):
        for b in range(batch):
            row, factors, rounded = embedding[ids[t, b]], mask[b], x[t, b]
            for j in range(width):
                rounded[j] = np.uint16(bfloat16_bits(row[j] * factors[j]))
    packed = empty_packed(gates_width, width)
    pack(inner, 0, gates_width, packed)
    count = steps * batch
    matmul(x.reshape(count, width), packed, gates_width, out.reshape(count, gates_width))


@Kernel
def embed_backward(  # noqa: PLR0917
    d_gates: Array,
    sides: Array,
    ids: Array,
    mask: Array,
    inner: Array,
    x: Array,
    d_embedding: Array,
    d_inner: Array,
    d_bias: Array,
) -> None:
    """Goes back through what `embed` did.

    Args:
        d_gates: as `train_step` leaves it.
        sides: likewise.
        ids: [T, B].
        mask: [B, E].
        inner: [4H, E].
        x: bfloat16 [T, B, E].
        d_embedding: [V, E], zeros; the gradient.
        d_inner: [4H, E], the gradient.
        d_bias: [1, 4H], zeros; the gradient.
    """
    (steps, batch), (gates_width, width) = ids.shape, inner.shape
    count = steps * batch
    packed = empty_packed(width, gates_width)
    pack_transposed(inner, 0, width, packed)
    d_x = np.empty((steps, batch, width), np.float32)
    flat = d_gates.reshape(count, gates_width)
    matmul(flat, packed, width, d_x.reshape(count, width))
    for t in range(steps):
        for b in range(batch):
            row, factors, total = d_x[t, b], mask[b], d_embedding[ids[t, b]]
            for j in range(width):
                total[j] += row[j] * factors[j]
    turned = empty_transposed(width, count)
    transpose(x.reshape(count, width), 0, width, turned)
    matmul_tn(count, sides, gates_width, turned, width, d_inner)
    _sum_rows(flat, np.zeros(count, np.int64), d_bias)
