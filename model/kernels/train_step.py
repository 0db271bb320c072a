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
from typing import Any, NamedTuple

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
from model.kernels.sequence import (
    claimed_gradients,
    sequence_backward,
    sequence_forward,
    table_gradient,
)
from model.kernels.threads import load_acquire, rank_range, store_release, wait_for
from model.kernels.vecmath import exponentials, largest, total_of

_forward, _backward = (inline(kernel.function) for kernel in (sequence_forward, sequence_backward))


class Operands(NamedTuple):
    """What all shards of a step read; states after the step are written."""

    ids: Array  # int64 [T, S]
    targets: Array  # int64 [T, S]
    soft_targets: Array  # float32 [T, S, V], or [T, S, 0], see `_cross_entropy`
    input_gates: Array  # float32 [V or 1, 4H], what each, or every, character adds to the gates
    embedding: Array  # float32 [V, E]
    input_masks: Array  # float32 [S, E], dropout factors of the embedded characters
    bias: Array  # float32 [4H]
    matrix: Array  # float32 [4H, K], recurrent matrix, dropped entries are 0, and input matrix
    head: Array  # float32 [W, H], rows beyond V are 0
    head_bias: Array  # float32 [W]
    masks: Array  # float32 [S, H], dropout factors of what the head reads, or [0, H]
    share: Any  # float32, weight of each character in the loss
    first_hidden: Array  # float32 [S, H]
    first_cell: Array  # float32 [S, H]
    last_hidden: Array  # float32 [S, H], written
    last_cell: Array  # float32 [S, H], written


class Scratch(NamedTuple):
    """Memory of all shards; B is that of the largest one."""

    rows: Array  # int64 [shards, TB], of the table
    d_outputs: Array  # float32 [shards, TB, H rounded up to whole panels]
    transposed: Array  # uint32 [shards, K * `packing.transposed_row_words` of TB]
    cells: Array  # float32 [shards, (T + 1) B, H]
    hiddens: Array  # float32 or bfloat16 [shards, (T + 1) B, K']
    gates: Array  # like hiddens [shards, TB, 4H']


class Results(NamedTuple):
    """What each shard finds: its share of the loss, in nats, and of the gradients."""

    loss: Array  # float64 [shards]
    d_matrix: Array  # float32 [shards, 4H, K]
    d_head: Array  # float32 [shards, W, H]
    d_head_bias: Array  # float32 [shards, W]
    d_input_gates: Array  # float32 [shards, V or 1, 4H]
    d_embedding: Array  # float32 [shards, V, E]


@inline
def _of_shard(room: Array, shard: int, steps: int, batch: int) -> Any:
    """Returns a shard's part of memory, [T, B, N], of [shards, T B or more, N]."""
    return room[shard][: steps * batch].reshape(steps, batch, room.shape[2])


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
        numbers: float32 or bfloat16 [T, B, H or more].
        mask: float32 [B, H], or [0, H] for no dropout.
    """
    for t in range(len(numbers)):
        for b in range(len(mask)):
            row, factors = numbers[t, b], mask[b]
            for j in range(len(factors)):
                row[j] = stored_like(to_float32(row[j]) * factors[j], row)


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
            operand[t, b, :width] = hiddens[t + 1, b, :width]
    _apply_mask(operand, mask)
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
def _head_step(
    shard: int, first: int, hiddens: Array, operands: Operands, room: Scratch, found: Results
) -> None:
    """Runs the head forwards and back; writes the shard's loss and gradients of head and outputs.

    Args:
        shard: of the calling thread.
        first: first of its streams.
        hiddens: float32 or bfloat16 [T + 1, B, K'], its hidden states.
        operands: of the step.
        room: memory of all shards.
        found: results of all shards.
    """
    steps, batch, taught = len(hiddens) - 1, hiddens.shape[1], operands.soft_targets.shape[2]
    count, last, d_bias = steps * batch, first + batch, found.d_head_bias[shard]
    targets = operands.targets[:, first:last].copy().reshape(count)
    soft_targets = operands.soft_targets[:, first:last].copy().reshape(count, taught)
    head, mask = operands.head, operands.masks[first:last]
    symbols, width = head.shape  # W, H
    operand = _head_operand(hiddens, width, operands.matrix.shape[1], mask)
    packed = empty_words(packed_words(symbols, width, operand.itemsize))
    pack_transposed(head, 0, symbols, operand, packed)
    logits = np.empty((count, symbols), np.float32)
    d_logits = np.empty((count, symbols), operand.dtype)
    matmul(operand, packed, logits)
    d_bias[:] = np.float32(0)
    found.loss[shard] = _cross_entropy(
        logits, operands.head_bias, targets, soft_targets, operands.share, d_logits, d_bias
    )
    # Gradient of the operand, then of the matrix.
    packed = empty_words(packed_words(width, symbols, operand.itemsize))
    pack(head, 0, width, operand, packed)
    matmul(d_logits, packed, room.d_outputs[shard][:count])
    transpose(operand, 0, width, room.transposed[shard])
    matmul_tn(d_logits, 0, symbols, room.transposed[shard], width, found.d_head[shard])
    _apply_mask(_of_shard(room.d_outputs, shard, steps, batch), mask)


@inline
def _share_gradients(
    shard: int, arrivals: Array, sched_yield: int, ids: Array, room: Scratch, found: Results
) -> None:
    """Computes the weights' gradients with the other threads; ``ids`` are those of the step."""
    (steps, streams), shards = ids.shape, len(arrivals) - 1
    # First what is ready, its own before others'; then what others have left when they are.
    for turn in range(2 * shards):
        part = (shard + turn) % shards
        if turn >= shards:
            wait_for(arrivals, part, 1, sched_yield)
        if load_acquire(arrivals, part) == 1:
            first, last = rank_range(streams, part, shards)
            count = steps * (last - first)
            claimed_gradients(
                arrivals, part, room.gates[part][:count], room.rows[part][:count],
                room.transposed[part], found.d_matrix[part], found.d_input_gates[part],
            )  # fmt: skip


@Kernel
def train_step(
    shard: int,
    arrivals: Array,
    sched_yield: int,
    operands: Operands,
    room: Scratch,
    norm: Norm | None,
    found: Results,
) -> None:
    """Runs a shard of the streams forwards and back; all shards must run at the same time.

    A thread that is done with its own shard helps the others with the gradients of their weights,
    a third of a step. So no thread waits long for one whose core is slower, or busy.

    Args:
        shard: of the calling thread.
        arrivals: int64 [shards + 1, a cache line], zeros; see ``model.kernels.threads``.
        sched_yield: address of the function, 0 for none.
        operands: of the step.
        room: overwritten.
        norm: of the shard's normalised gates, whose gradients are added to; None for others.
        found: the shard's part is written.
    """
    (steps, streams), shards = operands.ids.shape, len(arrivals) - 1
    first, last = rank_range(streams, shard, shards)
    batch, (width, inner) = last - first, (room.cells.shape[2], operands.matrix.shape[1])
    count, alone = steps * batch, np.zeros((2, 2), np.int64)
    ids, input_mask = operands.ids[:, first:last].copy(), operands.input_masks[first:last]
    rows, embeds = room.rows[shard][:count].reshape(steps, batch), operands.embedding.shape[1] > 0
    rows[:] = ids
    cells = _of_shard(room.cells, shard, steps + 1, batch)
    hiddens = _of_shard(room.hiddens, shard, steps + 1, batch)
    gates = _of_shard(room.gates, shard, steps, batch)
    d_outputs = _of_shard(room.d_outputs, shard, steps, batch)
    cells[0] = operands.first_cell[first:last]
    _convert(operands.first_hidden[first:last], hiddens[0, :, :width])
    if embeds:
        rows[:] = 0  # without a table all characters have the same row
        _embed(operands.embedding, ids, input_mask, hiddens, width)
    _forward(
        0, alone, 0, operands.input_gates, rows, operands.bias, operands.matrix, gates, cells,
        hiddens, norm,
    )  # fmt: skip
    operands.last_cell[first:last] = cells[-1]
    _convert(hiddens[steps, :, :width], operands.last_hidden[first:last])
    _head_step(shard, first, hiddens, operands, room, found)
    d_hidden, d_cell = np.empty((0, width), np.float32), np.zeros((batch, width), np.float32)
    d_inputs = np.empty((steps, batch, inner - width), np.float32)
    _backward(
        0, alone, 0, gates, cells, d_outputs, operands.matrix, d_hidden, d_cell, d_inputs, norm
    )
    if embeds:
        _apply_mask(d_inputs, input_mask)
        flat_inputs, flat_ids = d_inputs.reshape(count, inner - width), ids.reshape(count)
        table_gradient(flat_inputs, flat_ids, found.d_embedding[shard])
    transpose(room.hiddens[shard][:count], 0, inner, room.transposed[shard])
    store_release(arrivals, shard, 1)
    _share_gradients(shard, arrivals, sched_yield, operands.ids, room, found)
