"""Loss and gradients of some streams of a one-layer network, in one piece of compiled code. Numba.

For a small network the products of a step take less time than the operations between them and the
interpreter, for which threads then queue. Here a thread needs the interpreter once a step. All
products are of float32 or of bfloat16, as ``hiddens`` is, with float32 sums. Loss and softmax are
float32, as in ``model.network.compiled_layer`` and around it.

Letters: T time, B batch, S all streams, V vocabulary, W = V rounded up to whole panels, H hidden, E
embedding; H', 4H' and E' are padded with zeros to ``packing.padded_depth``. Matrices are those of
``nn.LSTM`` and ``nn.Linear``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from model.kernels.dtypes import Array, stored_like
from model.kernels.jit import Kernel, inline
from model.kernels.lstm_cell import sum_rows
from model.kernels.matmul import matmul, matmul_tn
from model.kernels.packing import (
    PANEL,
    empty_packed,
    empty_transposed,
    pack,
    pack_transposed,
    round_up,
    transpose,
)
from model.kernels.sequence import sequence_backward, sequence_forward
from model.kernels.vecmath import exp, largest

_forward, _backward = inline(sequence_forward.function), inline(sequence_backward.function)
_sum_rows = inline(sum_rows.function)


@inline
def _cross_entropy(  # noqa: PLR0917
    logits: Array, bias: Array, targets: Array, share: Any, d_logits: Array, d_bias: Array
) -> float:
    """Returns the loss in nats, and writes its gradient: ``share * (softmax - one_hot)``.

    Args:
        logits: float32 [N, W], without the bias; scratch afterwards.
        bias: float32 [W].
        targets: int64 [N].
        share: float32, weight of each character in the loss.
        d_logits: float32 or bfloat16 [N, W]; written.
        d_bias: float32 [W]; added to.
    """
    width, loss = len(bias), 0.0
    for n in range(len(targets)):
        row, rounded = logits[n], d_logits[n]
        for v in range(width):
            row[v] = row[v] + bias[v]
        # Less the maximum, so that no exponential overflows.
        most = largest(row)
        target = targets[n]
        # A NaN anywhere in the row propagates into `total`.
        wanted, total = row[target], np.float32(0)
        for v in range(width):
            number = exp(row[v] - most)
            row[v] = number
            total += number
        loss += math.log(total) + most - wanted
        scale = share / total
        # Separate loops, each of which LLVM vectorises.
        for v in range(width):
            row[v] = row[v] * scale
        row[target] -= share
        for v in range(width):
            d_bias[v] += row[v]
        for v in range(width):
            rounded[v] = stored_like(row[v], rounded)
    return float(loss * share)


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
def _head_operand(hiddens: Array, outputs: Array, mask: Array) -> Array:
    """Returns what the head reads, [TB, H'] like the hidden states: those after dropout.

    Args:
        hiddens: float32 or bfloat16 [T + 1, B, H'].
        outputs: float32 [T, B, H]; dropout scales these, before they are rounded.
        mask: float32 [B, H], or [0, H] for no dropout.
    """
    (steps, batch, width), depth = outputs.shape, hiddens.shape[2]
    count = steps * batch
    if not len(mask):
        return hiddens[1:].reshape(count, depth)
    operand = np.zeros((steps, batch, depth), hiddens.dtype)
    for t in range(steps):
        for b in range(batch):
            row, factors, dropped = outputs[t, b], mask[b], operand[t, b]
            for j in range(width):
                dropped[j] = stored_like(row[j] * factors[j], dropped)
    return operand.reshape(count, depth)


@inline
def _head_step(  # noqa: PLR0917
    operand: Array,
    head: Array,
    head_bias: Array,
    targets: Array,
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
        share: float32, weight of each character in the loss.
        d_operand: float32 [N, H rounded up to whole panels]; written.
        d_head: float32 [W, H]; written.
        d_head_bias: float32 [W]; added to.
        transposed: uint32, from `empty_transposed` for H columns and N inner indices; scratch.
    """
    count, (symbols, width) = len(operand), head.shape
    packed = empty_packed(symbols, width, operand)
    pack_transposed(head, 0, symbols, operand, packed)
    logits = np.empty((count, symbols), np.float32)
    d_logits = np.empty((count, symbols), operand.dtype)
    matmul(operand, packed, logits)
    loss = _cross_entropy(logits, head_bias, targets, share, d_logits, d_head_bias)
    # Gradient of the operand, then of the matrix.
    packed = empty_packed(width, symbols, operand)
    pack(head, 0, width, operand, packed)
    matmul(d_logits, packed, d_operand)
    transpose(operand, 0, width, transposed)
    matmul_tn(d_logits, 0, symbols, transposed, width, d_head)
    return loss


@inline
def _columns(ids: Array, first: int, last: int) -> Array:
    """Returns a copy of some columns of int64 [T, S]."""
    columns = np.empty((len(ids), last - first), np.int64)
    for t in range(len(ids)):
        for b in range(last - first):
            columns[t, b] = ids[t, first + b]
    return columns


@Kernel
def train_step(  # noqa: PLR0917 - compiled code takes them by position
    arrivals: Array,  # int64 [2, ARRIVALS_WIDTH], for one rank, see `model.kernels.threads`
    first: int,  # first of the streams, of which there are B among S
    ids: Array,  # int64 [T, S], rows of `input_gates`
    input_gates: Array,  # float32 [N, 4H or more], what the layer's inputs add to the gates
    targets: Array,  # int64 [T, S]
    bias: Array,  # float32 [4H]
    recurrent_matrix: Array,  # float32 [4H, H], dropped entries are 0
    head: Array,  # float32 [W, H], rows beyond V are 0
    head_bias: Array,  # float32 [W]
    masks: Array,  # float32 [S, H], dropout factors of what the head reads, or [0, H]
    share: Any,  # float32, weight of each character in the loss
    first_hidden: Array,  # float32 [S, H]
    first_cell: Array,  # float32 [S, H]
    last_hidden: Array,  # float32 [S, H], written
    last_cell: Array,  # float32 [S, H], written
    gates: Array,  # float32 [T, B, 4H], scratch
    d_outputs: Array,  # float32 [T, B, H rounded up to whole panels], scratch
    transposed: Array,  # uint32 [`packing.transposed_words` of H columns, TB inner ones], scratch
    cells: Array,  # float32 [T + 1, B, H], written
    hiddens: Array,  # float32 or bfloat16 [T + 1, B, H'], written
    outputs: Array,  # float32 [T, B, H], the hidden states unrounded, written; see `sequence`
    loss: Array,  # float64 [1], in nats, written
    d_gates: Array,  # like hiddens [T, B, 4H'], gradient of the sums that go into gates, written
    d_matrix: Array,  # float32 [4H, H], gradient of the recurrent matrix, written
    d_head: Array,  # float32 [W, H], written
    d_head_bias: Array,  # float32 [W], written
    d_input_gates: Array,  # float32 [N, 4H], written; or [0, 4H], and it is not computed
) -> None:
    """Runs some streams forwards and back; all results are written into its arguments."""
    (steps, batch, width), gates_width = outputs.shape, len(recurrent_matrix)
    count, last = steps * batch, first + batch
    own_ids, own_targets = _columns(ids, first, last), _columns(targets, first, last)
    mask = masks[first:last]
    cells[0] = first_cell[first:last]
    for b in range(batch):
        for j in range(width):
            hiddens[0, b, j] = stored_like(first_hidden[first + b, j], hiddens)
    _forward(
        0, arrivals, 0, input_gates, own_ids, bias, recurrent_matrix, gates, cells, hiddens, outputs
    )  # fmt: skip
    last_hidden[first:last], last_cell[first:last] = outputs[-1], cells[-1]
    operand = _head_operand(hiddens, outputs, mask)
    d_operand, flat_targets = d_outputs.reshape(count, -1), own_targets.reshape(count)
    d_head_bias[:] = np.float32(0)
    loss[0] = _head_step(
        operand, head, head_bias, flat_targets, share, d_operand, d_head, d_head_bias, transposed
    )  # fmt: skip
    if len(mask):
        _apply_mask(d_outputs, mask)
    d_hidden, d_cell = np.empty((batch, width), np.float32), np.zeros((batch, width), np.float32)
    _backward(
        0, arrivals, 0, gates, cells, d_outputs, recurrent_matrix, d_hidden, d_cell, d_gates
    )  # fmt: skip
    transpose(hiddens[:-1].reshape(count, hiddens.shape[2]), 0, width, transposed)
    flat_gates = d_gates.reshape(count, d_gates.shape[2])
    matmul_tn(flat_gates, 0, gates_width, transposed, width, d_matrix)
    if len(d_input_gates):
        d_input_gates[:] = np.float32(0)
        _sum_rows(flat_gates, own_ids.reshape(count), d_input_gates)


@Kernel
def embed(  # noqa: PLR0917
    embedding: Array, ids: Array, mask: Array, inner_matrix: Array, x: Array, out: Array
) -> None:
    """Embeds characters, with entries dropped, and multiplies them for the layer's gates.

    Args:
        embedding: float32 [V, E].
        ids: int64 [T, B].
        mask: float32 [B, E], dropout factors of each stream.
        inner_matrix: float32 [4H, E].
        x: float32 or bfloat16 [T, B, E'], the embedded characters; written up to E.
        out: float32 [T, B, 4H rounded up to whole panels], what they add to the gates; written.
    """
    (steps, batch), (gates_width, width) = ids.shape, inner_matrix.shape
    for t in range(steps):
        for b in range(batch):
            row, factors, operand = embedding[ids[t, b]], mask[b], x[t, b]
            for j in range(width):
                operand[j] = stored_like(row[j] * factors[j], operand)
    packed = empty_packed(gates_width, width, x)
    pack_transposed(inner_matrix, 0, gates_width, x, packed)
    count = steps * batch
    matmul(x.reshape(count, x.shape[2]), packed, out.reshape(count, out.shape[2]))


@Kernel
def embed_backward(  # noqa: PLR0917
    d_gates: Array,
    ids: Array,
    mask: Array,
    inner_matrix: Array,
    x: Array,
    d_embedding: Array,
    d_inner_matrix: Array,
    d_bias: Array,
) -> None:
    """Goes back through `embed`.

    Args:
        d_gates: float32 or bfloat16 [T, B, 4H'], from `train_step`.
        ids: int64 [T, B].
        mask: float32 [B, E].
        inner_matrix: float32 [4H, E].
        x: like ``d_gates``, [T, B, E'].
        d_embedding: float32 [V, E], zeros; written.
        d_inner_matrix: float32 [4H, E]; written.
        d_bias: float32 [1, 4H], zeros; written.
    """
    (steps, batch), (gates_width, width) = ids.shape, inner_matrix.shape
    count = steps * batch
    packed = empty_packed(width, gates_width, d_gates)
    pack(inner_matrix, 0, width, d_gates, packed)
    d_x = np.empty((steps, batch, round_up(width, PANEL)), np.float32)
    flat = d_gates.reshape(count, d_gates.shape[2])
    matmul(flat, packed, d_x.reshape(count, d_x.shape[2]))
    for t in range(steps):
        for b in range(batch):
            row, factors, total = d_x[t, b], mask[b], d_embedding[ids[t, b]]
            for j in range(width):
                total[j] += row[j] * factors[j]
    transposed = empty_transposed(width, count, x)
    transpose(x.reshape(count, x.shape[2]), 0, width, transposed)
    matmul_tn(flat, 0, gates_width, transposed, width, d_inner_matrix)
    # All rows go into one sum: id 0 for each.
    _sum_rows(flat, np.zeros(count, np.int64), d_bias)
