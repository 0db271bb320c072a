"""Loss and gradients of some streams of a one-layer network, in one piece of compiled code. Numba.

For a small network the products of a step take less time than the operations between them and the
interpreter, for which threads then queue. Here a thread needs the interpreter once a step. All
products are of float32 or of bfloat16, as ``hiddens`` is, with float32 sums. Loss and softmax are
float32, as in ``model.network.compiled_layer`` and around it.

What each character adds to the gates is looked up in a table, unless embedded characters are
dropped; then the embedding is a part of the layer's products. Letters: T time, B batch, S all
streams, V vocabulary, W = V rounded up to whole panels, H hidden, E embedding (0 with a table),
K = H + E; H', K' and 4H' are padded with zeros to ``packing.padded_depth``. Matrices are those of
``nn.LSTM`` and ``nn.Linear``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from model.kernels.cell_step import Norm
from model.kernels.dtypes import Array, stored_like, to_float32
from model.kernels.jit import Kernel, inline
from model.kernels.matmul import matmul, matmul_tn
from model.kernels.packing import (
    empty_words,
    pack,
    pack_transposed,
    packed_words,
    padded_depth,
    transpose,
)
from model.kernels.sequence import sequence_backward, sequence_forward, weight_gradients
from model.kernels.vecmath import exponentials, largest, total_of

_forward, _backward, _weights = (
    inline(kernel.function) for kernel in (sequence_forward, sequence_backward, weight_gradients)
)


@inline
def _cross_entropy(
    logits: Array,
    bias: Array,
    targets: Array,
    soft_targets: Array,
    share: Any,
    d_logits: Array,
    d_bias: Array,
) -> float:
    """Returns the loss in nats, and writes its gradient: ``share * (softmax - probabilities)``.

    Without soft targets the probability of a target is 1.

    Args:
        logits: float32 [N, W], without the bias; scratch afterwards.
        bias: float32 [W].
        targets: int64 [N]; unused if there are soft targets.
        soft_targets: float32 [N, V], the probabilities to learn, or [N, 0].
        share: float32, weight of each character in the loss.
        d_logits: float32 or bfloat16 [N, W]; written.
        d_bias: float32 [W]; added to.
    """
    width, symbols, loss = len(bias), soft_targets.shape[1], 0.0
    products = np.empty(symbols, np.float32)
    for n in range(len(targets)):
        row, rounded = logits[n], d_logits[n]
        for v in range(width):
            row[v] = row[v] + bias[v]
        # Less the maximum, so that no exponential overflows.
        most = largest(row)
        target, soft = targets[n], soft_targets[n]
        for v in range(symbols):
            products[v] = soft[v] * row[v]
        wanted = total_of(products) if symbols else row[target]
        exponentials(row, most, np.float32(1), row)
        total = total_of(row)  # NaN if one is anywhere in the row
        loss += math.log(total) + most - wanted
        scale = share / total
        # Separate loops, each of which LLVM vectorises.
        for v in range(width):
            row[v] = row[v] * scale
        if not symbols:
            row[target] -= share
        for v in range(symbols):
            row[v] -= share * soft[v]
        for v in range(width):
            d_bias[v] += row[v]
        for v in range(width):
            rounded[v] = stored_like(row[v], rounded)
    return float(loss * share)


@inline
def _convert(numbers: Array, out: Array) -> None:
    """Writes numbers [B, H], float32 or bfloat16, in the type of ``out`` [B, H]."""
    for b in range(len(out)):
        for j in range(out.shape[1]):
            out[b, j] = stored_like(to_float32(numbers[b, j]), out)


@inline
def _apply_mask(numbers: Array, mask: Array) -> None:
    """Multiplies in place by a dropout mask that is the same at every time step.

    Args:
        numbers: float32 [T, B, H or more].
        mask: float32 [B, H].
    """
    for t in range(len(numbers)):
        for b in range(len(mask)):
            row, factors = numbers[t, b], mask[b]
            for j in range(len(factors)):
                row[j] = row[j] * factors[j]


@inline
def _head_operand(hiddens: Array, width: int, inner: int, mask: Array) -> Array:
    """Returns what the head reads, [TB, H'] like the hidden states: those after dropout.

    Args:
        hiddens: float32 or bfloat16 [T + 1, B, K'].
        width: H.
        inner: K.
        mask: float32 [B, H], or [0, H] for no dropout.
    """
    steps, batch = len(hiddens) - 1, hiddens.shape[1]
    depth = padded_depth(width, hiddens.itemsize)
    if not len(mask) and inner == width:
        return hiddens[1:].reshape(steps * batch, depth)
    operand = np.zeros((steps, batch, depth), hiddens.dtype)
    for t in range(steps):
        for b in range(batch):
            row, dropped = hiddens[t + 1, b], operand[t, b]
            if len(mask):
                factors = mask[b]
                for j in range(width):
                    dropped[j] = stored_like(to_float32(row[j]) * factors[j], dropped)
            else:
                dropped[:width] = row[:width]
    return operand.reshape(steps * batch, depth)


@inline
def _embed(embedding: Array, ids: Array, mask: Array, hiddens: Array, width: int) -> None:
    """Writes embedded characters, with entries dropped, beside the hidden states.

    Args:
        embedding: float32 [V, E].
        ids: int64 [T, B].
        mask: float32 [B, E], dropout factors of each stream.
        hiddens: float32 or bfloat16 [T + 1, B, K']; columns H to K of the first T are written.
        width: H.
    """
    for t in range(len(ids)):
        for b in range(len(mask)):
            row, factors, operand = embedding[ids[t, b]], mask[b], hiddens[t, b, width:]
            for j in range(len(factors)):
                operand[j] = stored_like(row[j] * factors[j], operand)


@inline
def _embedding_gradient(d_inputs: Array, ids: Array, mask: Array, d_embedding: Array) -> None:
    """Writes the gradient of the embedding from that of what `_embed` wrote, float32 [T, B, E]."""
    d_embedding[:] = np.float32(0)
    for t in range(len(ids)):
        for b in range(len(mask)):
            row, factors, total = d_inputs[t, b], mask[b], d_embedding[ids[t, b]]
            for j in range(len(factors)):
                total[j] += row[j] * factors[j]


@inline
def _head_step(
    operand: Array,
    head: Array,
    head_bias: Array,
    targets: Array,
    soft_targets: Array,
    share: Any,
    d_operand: Array,
    d_head: Array,
    d_head_bias: Array,
    transposed: Array,
) -> float:
    """Runs the head forwards and back; returns the loss in nats.

    Args:
        operand: float32 or bfloat16 [N, H'], what the head reads.
        head: float32 [W, H].
        head_bias: float32 [W].
        targets: int64 [N].
        soft_targets: float32 [N, V or 0], see `_cross_entropy`.
        share: float32, weight of each character in the loss.
        d_operand: float32 [N, H rounded up to whole panels]; written.
        d_head: float32 [W, H]; written.
        d_head_bias: float32 [W]; written.
        transposed: uint32 [H * `packing.transposed_row_words` of N, or more]; scratch.
    """
    count, (symbols, width) = len(operand), head.shape
    packed = empty_words(packed_words(symbols, width, operand.itemsize))
    pack_transposed(head, 0, symbols, operand, packed)
    logits = np.empty((count, symbols), np.float32)
    d_logits = np.empty((count, symbols), operand.dtype)
    matmul(operand, packed, logits)
    d_head_bias[:] = np.float32(0)
    loss = _cross_entropy(logits, head_bias, targets, soft_targets, share, d_logits, d_head_bias)
    # Gradient of the operand, then of the matrix.
    packed = empty_words(packed_words(width, symbols, operand.itemsize))
    pack(head, 0, width, operand, packed)
    matmul(d_logits, packed, d_operand)
    transpose(operand, 0, width, transposed)
    matmul_tn(d_logits, 0, symbols, transposed, width, d_head)
    return loss


@Kernel
def train_step(
    arrivals: Array,  # int64 [2, ARRIVALS_WIDTH], for one rank, see `model.kernels.threads`
    first: int,  # first of the streams, of which there are B among S
    ids: Array,  # int64 [T, S]
    targets: Array,  # int64 [T, S]
    soft_targets: Array,  # float32 [T, S, V], or [T, S, 0], see `_cross_entropy`
    input_gates: Array,  # float32 [V or 1, 4H], what each, or every, character adds to the gates
    embedding: Array,  # float32 [V, E]
    input_masks: Array,  # float32 [S, E], dropout factors of the embedded characters
    bias: Array,  # float32 [4H]
    matrix: Array,  # float32 [4H, K], recurrent matrix, dropped entries are 0, and input matrix
    head: Array,  # float32 [W, H], rows beyond V are 0
    head_bias: Array,  # float32 [W]
    masks: Array,  # float32 [S, H], dropout factors of what the head reads, or [0, H]
    share: Any,  # float32, weight of each character in the loss
    first_hidden: Array,  # float32 [S, H]
    first_cell: Array,  # float32 [S, H]
    last_hidden: Array,  # float32 [S, H], written
    last_cell: Array,  # float32 [S, H], written
    d_outputs: Array,  # float32 [T, B, H rounded up to whole panels], scratch
    transposed: Array,  # uint32 [K * `packing.transposed_row_words` of TB], scratch
    cells: Array,  # float32 [T + 1, B, H], scratch
    hiddens: Array,  # float32 or bfloat16 [T + 1, B, K'], scratch
    gates: Array,  # like hiddens [T, B, 4H'], scratch
    norm: Norm | None,  # of normalised gates; its gradients are written
    loss: Array,  # float64 [1], in nats, written
    d_matrix: Array,  # float32 [4H, K], written
    d_head: Array,  # float32 [W, H], written
    d_head_bias: Array,  # float32 [W], written
    d_input_gates: Array,  # float32 [V or 1, 4H], written
    d_embedding: Array,  # float32 [V, E], written
) -> None:
    """Runs some streams forwards and back; all results are written into its arguments."""
    steps, batch, width = cells[1:].shape
    count, last = steps * batch, first + batch
    own_ids, own_targets = ids[:, first:last].copy(), targets[:, first:last].copy()
    own_soft = soft_targets[:, first:last].copy().reshape(count, soft_targets.shape[2])
    mask, input_mask = masks[first:last], input_masks[first:last]
    # Without a table all characters have the same row.
    rows = own_ids if embedding.shape[1] == 0 else np.zeros((steps, batch), np.int64)
    cells[0] = first_cell[first:last]
    _convert(first_hidden[first:last], hiddens[0, :, :width])
    _embed(embedding, own_ids, input_mask, hiddens, width)
    _forward(0, arrivals, 0, input_gates, rows, bias, matrix, gates, cells, hiddens, norm)
    last_cell[first:last] = cells[-1]
    _convert(hiddens[steps, :, :width], last_hidden[first:last])
    operand = _head_operand(hiddens, width, matrix.shape[1], mask)
    d_operand, flat_targets = d_outputs.reshape(count, -1), own_targets.reshape(count)
    loss[0] = _head_step(
        operand, head, head_bias, flat_targets, own_soft, share, d_operand, d_head, d_head_bias,
        transposed,
    )  # fmt: skip
    if len(mask):
        _apply_mask(d_outputs, mask)
    d_hidden, d_cell = np.empty((batch, width), np.float32), np.zeros((batch, width), np.float32)
    d_inputs = np.empty((steps, batch, embedding.shape[1]), np.float32)
    _backward(0, arrivals, 0, gates, cells, d_outputs, matrix, d_hidden, d_cell, d_inputs, norm)
    _weights(0, arrivals, 0, gates, hiddens, rows, transposed, d_matrix, d_input_gates)
    _embedding_gradient(d_inputs, own_ids, input_mask, d_embedding)
