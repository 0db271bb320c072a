"""All time steps of an LSTM layer in one piece of compiled code, products included. Numba.

Threads share the hidden units and meet at one barrier a step. The products are of float32 or of
bfloat16, as ``hiddens`` and ``gates`` are. What the layer reads can be a part of its products: then
D columns follow those of the hidden state. Letters: T time, B batch, H hidden, D inputs, K = H + D,
U hidden units of a thread; K' and 4H' are K and 4H padded with zeros to ``packing.padded_depth``.
"""

from __future__ import annotations

import numpy as np

from model.kernels.amx import configure_tiles, release_tiles
from model.kernels.cell_step import (
    Norm,
    complete_sums,
    find_scales,
    step_backward,
    step_forward,
    sums_backward,
)
from model.kernels.dtypes import Array, to_float32
from model.kernels.jit import Kernel, inline
from model.kernels.matmul import COLUMNS_PER_PASS, matmul_of_series, matmul_tn
from model.kernels.packing import (
    PANEL,
    empty_words,
    pack,
    pack_transposed,
    packed_words,
    round_up,
    transpose,
)
from model.kernels.threads import barrier, claim, rank_range


@Kernel
def sequence_forward(
    rank: int,
    arrivals: Array,
    sched_yield: int,
    input_gates: Array,
    ids: Array,
    bias: Array,
    matrix: Array,
    gates: Array,
    cells: Array,
    hiddens: Array,
    norm: Norm | None,
) -> None:
    """Runs all time steps of a rank's units; all ranks must run at the same time.

    Args:
        rank: of the calling thread.
        arrivals: int64 [size + 1, a cache line]; see ``model.kernels.threads``.
        sched_yield: address of the function, 0 for none.
        input_gates: float32 or bfloat16 [N, 4H or more], what the layer's inputs add to the gates
            besides the D columns.
        ids: int64 [T, B], rows of ``input_gates``.
        bias: float32 [4H].
        matrix: float32 [4H, K], the recurrent matrix, and beside it that of the inputs.
        gates: float32 or bfloat16 [T, B, 4H'], the gates after their nonlinearities, or the
            normalised sums that go into them; written.
        cells: float32 [T + 1, B, H]; the first is read, the others are written.
        hiddens: like ``gates``, [T + 1, B, K'], the hidden state before each step, and beside it
            the inputs of the step; the first hidden state is read, the others are written.
        norm: of normalised gates; None for others.
    """
    steps, batch, width = len(gates), cells.shape[1], cells.shape[2]
    first, last = rank_range(width, rank, len(arrivals) - 1)
    units, inner, phase = last - first, matrix.shape[1], arrivals[rank, 0]
    # Packed once for all steps: the right matrix [K, 4U], one gate after the other.
    packed = empty_words(packed_words(4 * units, inner, hiddens.itemsize))
    columns = round_up(4 * units, PANEL)
    sums = empty_words(batch * columns).view(np.float32)
    recurrent_gates = sums.reshape(batch, columns)
    for gate in range(4):
        row = gate * width + first
        pack_transposed(matrix[row : row + units], gate * units, 4 * units, hiddens, packed)
    configure_tiles(batch)
    for t in range(steps):
        # Every other step goes backwards: a cache too small for the matrix holds its end.
        matmul_of_series(hiddens[t], packed, recurrent_gates, t % 2 == 1)
        if norm is not None:
            complete_sums(sums, 0, columns, units, input_gates, ids[t], first, norm.shared)
            phase = barrier(arrivals, rank, phase, sched_yield)
            find_scales(norm.shared, norm.epsilon, norm.scales[rank, t, :, 0])
        step_forward(
            input_gates, ids, bias, recurrent_gates, gates, cells, hiddens, norm, rank, t, first,
            units,
        )  # fmt: skip
        # The next product reads the hidden state of all units.
        phase = barrier(arrivals, rank, phase, sched_yield)
    release_tiles()


@Kernel
def sequence_backward(
    rank: int,
    arrivals: Array,
    sched_yield: int,
    gates: Array,
    cells: Array,
    d_outputs: Array,
    matrix: Array,
    d_hidden: Array,
    d_cell: Array,
    d_inputs: Array,
    norm: Norm | None,
) -> None:
    """Goes back through all time steps of a rank's units; all ranks must run at the same time.

    Args:
        rank: of the calling thread.
        arrivals: int64 [size + 1, a cache line]; see ``model.kernels.threads``.
        sched_yield: address of the function, 0 for none.
        gates: float32 or bfloat16 [T, B, 4H'], from `sequence_forward`; becomes the gradient of
            the sums that go into them.
        cells: float32 [T + 1, B, H].
        d_outputs: float32 [T, B, H or more], gradient of the outputs from what reads the layer.
        matrix: float32 [4H, K].
        d_hidden: float32 [B, H], gradient of the first hidden state; written; or [0, H].
        d_cell: float32 [B, H], gradient of the last cell state; becomes that of the first.
        d_inputs: float32 [T, B, D], gradient of the inputs; written.
        norm: as in `sequence_forward`.
    """
    steps, batch, width = len(gates), cells.shape[1], cells.shape[2]
    first, last = rank_range(width, rank, len(arrivals) - 1)
    units, phase = last - first, arrivals[rank, 0]
    # The inputs follow the units of the last rank.
    inputs = matrix.shape[1] - width if last == width else 0
    # Packed once for all steps: the right matrix [4H, U or U + D].
    count = units + inputs
    packed = empty_words(packed_words(count, 4 * width, gates.itemsize))
    columns = round_up(count, PANEL)
    d_recurrent = empty_words(batch * columns).view(np.float32).reshape(batch, columns)
    d_recurrent[:] = np.float32(0)
    pack(matrix, first, count, gates, packed)
    d_normalised = empty_words(batch * 4 * units).view(np.float32).reshape(batch, 4 * units)
    configure_tiles(batch)
    for t in range(steps - 1, -1, -1):
        step_backward(
            gates, cells, d_outputs, d_recurrent, d_cell, d_normalised, norm, t, first, units
        )
        if norm is not None:
            phase = barrier(arrivals, rank, phase, sched_yield)
            sums_backward(gates, d_normalised, norm, rank, t, first, units)
        # The product reads the gradients of the gates of all units.
        phase = barrier(arrivals, rank, phase, sched_yield)
        if t > 0 or inputs or len(d_hidden):
            matmul_of_series(gates[t], packed, d_recurrent, t % 2 == 1)
        if inputs:
            d_inputs[t] = d_recurrent[:, units:count]
    release_tiles()
    d_hidden[:, first:last] = d_recurrent[: len(d_hidden), :units]


@Kernel
def weight_gradients(
    rank: int,
    arrivals: Array,
    sched_yield: int,
    d_gates: Array,
    hiddens: Array,
    ids: Array,
    transposed: Array,
    d_matrix: Array,
    d_input_gates: Array,
) -> None:
    """Computes the weights' gradients once a run; all ranks must run at the same time.

    One product over all time steps: ``d_matrix = d_gates^T hiddens`` of T B inner indices.

    Args:
        rank: of the calling thread.
        arrivals: int64 [size + 1, a cache line]; see ``model.kernels.threads``.
        sched_yield: address of the function, 0 for none.
        d_gates: float32 or bfloat16 [T, B, 4H'], gradient of the sums that go into the gates.
        hiddens: of the same dtype, [T + 1, B, K'].
        ids: int64 [T, B], rows of the table of input gates.
        transposed: uint32 [K * `packing.transposed_row_words` of T B inner indices], shared
            by all ranks, beginning with a cache line; scratch.
        d_matrix: float32 [4H, K]; written.
        d_input_gates: float32 [N, 4H], gradient of the table; written.
    """
    count, inner, size = ids.size, d_matrix.shape[1], len(arrivals) - 1
    first, last = rank_range(inner, rank, size)
    transpose(hiddens[:-1].reshape(count, hiddens.shape[2]), first, last, transposed)
    barrier(arrivals, rank, arrivals[rank, 0], sched_yield)
    sums, rows = d_gates.reshape(count, d_gates.shape[2]), ids.reshape(count)
    claimed_gradients(arrivals, 0, sums, rows, transposed, d_matrix, d_input_gates)


@inline
def claimed_gradients(
    arrivals: Array,
    rank: int,
    d_gates: Array,
    ids: Array,
    transposed: Array,
    d_matrix: Array,
    d_input_gates: Array,
) -> None:
    """Computes blocks of some weights' gradients until threads have claimed all of them.

    A thread whose core is slower, or busy with something else, claims fewer of them.

    Args:
        arrivals: see ``model.kernels.threads``.
        rank: whose work the blocks are.
        d_gates: float32 or bfloat16 [TB, 4H'].
        ids: int64 [TB].
        transposed: from `packing.transpose` of the hidden states.
        d_matrix: the rows of the claimed blocks are written.
        d_input_gates: written by the thread with the first claim.
    """
    rows, inner = d_matrix.shape
    piece = claim(arrivals, rank)
    if piece == 0:
        table_gradient(d_gates, ids, d_input_gates)
        piece = claim(arrivals, rank)
    first = (piece - 1) * COLUMNS_PER_PASS
    while first < rows:
        count = min(COLUMNS_PER_PASS, rows - first)
        matmul_tn(d_gates, first, count, transposed, inner, d_matrix[first : first + count])
        first = (claim(arrivals, rank) - 1) * COLUMNS_PER_PASS


@inline
def table_gradient(numbers: Array, ids: Array, out: Array) -> None:
    """Adds up the rows of each character.

    Args:
        numbers: float32 or bfloat16 [N, M or more].
        ids: int64 [N].
        out: float32 [V, M]; written.
    """
    out[:] = np.float32(0)
    for n in range(len(numbers)):
        # By whole rows, whose numbers are known to be neighbours: LLVM makes vectors of them.
        row, total = numbers[n], out[ids[n]]
        for j in range(len(total)):
            total[j] += to_float32(row[j])
