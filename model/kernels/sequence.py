"""All time steps of an LSTM layer in one piece of compiled code, products included. Numba.

Threads share the hidden units and meet at one barrier a step. The products are of float32 or of
bfloat16, as ``hiddens`` and ``d_gates`` are. Letters: T time, B batch, H hidden, U hidden units of
a thread; H' and 4H' are H and 4H padded with zeros to ``packing.padded_depth``.
"""

from __future__ import annotations

import numpy as np

from model.kernels.barrier import barrier, rank_range
from model.kernels.dtypes import Array
from model.kernels.jit import Kernel
from model.kernels.lstm_cell import step_backward, step_forward
from model.kernels.matmul import begin, end, matmul_of_series, matmul_tn
from model.kernels.packing import (
    PANEL,
    empty_packed,
    empty_words,
    pack,
    pack_transposed,
    round_up,
    transpose,
)


@Kernel
def sequence_forward(  # noqa: PLR0917 - compiled code takes them by position
    rank: int,
    arrivals: Array,
    sched_yield: int,
    input_gates: Array,
    ids: Array,
    bias: Array,
    recurrent_matrix: Array,
    gates: Array,
    cells: Array,
    hiddens: Array,
    outputs: Array,
) -> None:
    """Runs all time steps of a rank's units; all ranks must run at the same time.

    Args:
        rank: of the calling thread.
        arrivals: int64 [size + 1, ARRIVALS_WIDTH]; see ``model.kernels.threads``.
        sched_yield: address of the function, 0 for none.
        input_gates: float32 or bfloat16 [N, 4H or more], what the layer's inputs add to the gates.
        ids: int64 [T, B], rows of ``input_gates``.
        bias: float32 [4H].
        recurrent_matrix: float32 [4H, H].
        gates: float32 [T, B, 4H], the gates after their nonlinearities; written.
        cells: float32 [T + 1, B, H]; the first is read, the others are written.
        hiddens: float32 or bfloat16 [T + 1, B, H']; the first is read, the others are written.
        outputs: float32 [T, B, H], the hidden states unrounded; written. Float32 ``hiddens`` but
            for the first are these.
    """
    steps, batch, width = outputs.shape
    first, last = rank_range(width, rank, len(arrivals) - 1)
    units, phase = last - first, arrivals[rank, 0]
    # Packed once for all steps: the right matrix [H, 4U], one gate after the other.
    packed, columns = empty_packed(4 * units, width, hiddens), round_up(4 * units, PANEL)
    recurrent_gates = empty_words(batch * columns).view(np.float32).reshape(batch, columns)
    for gate in range(4):
        row = gate * width + first
        rows = recurrent_matrix[row : row + units]
        pack_transposed(rows, gate * units, 4 * units, hiddens, packed)
    begin(hiddens, batch)
    for t in range(steps):
        # Every other step goes backwards: a cache too small for the matrix holds its end.
        matmul_of_series(hiddens[t], packed, recurrent_gates, t % 2 == 1)
        step_forward(
            input_gates, ids, bias, recurrent_gates, gates, cells, hiddens, outputs, t, first, units
        )
        # The next product reads the hidden state of all units.
        phase += 1
        barrier(arrivals, rank, phase, sched_yield)
    end(hiddens)


@Kernel
def sequence_backward(  # noqa: PLR0917
    rank: int,
    arrivals: Array,
    sched_yield: int,
    gates: Array,
    cells: Array,
    d_outputs: Array,
    recurrent_matrix: Array,
    d_hidden: Array,
    d_cell: Array,
    d_gates: Array,
) -> None:
    """Goes back through all time steps of a rank's units; all ranks must run at the same time.

    Args:
        rank: of the calling thread.
        arrivals: int64 [size + 1, ARRIVALS_WIDTH]; see ``model.kernels.threads``.
        sched_yield: address of the function, 0 for none.
        gates: float32 [T, B, 4H], after their nonlinearities.
        cells: float32 [T + 1, B, H].
        d_outputs: float32 [T, B, H or more], gradient of the outputs from what reads the layer.
        recurrent_matrix: float32 [4H, H].
        d_hidden: float32 [B, H], gradient of the first hidden state; written.
        d_cell: float32 [B, H], gradient of the last cell state; becomes that of the first.
        d_gates: float32 or bfloat16 [T, B, 4H'], gradient of the sums that go into the gates;
            written. It may have the memory of ``gates``.
    """
    steps, batch, _ = d_outputs.shape
    width = d_cell.shape[1]
    first, last = rank_range(width, rank, len(arrivals) - 1)
    units, phase = last - first, arrivals[rank, 0]
    # Packed once for all steps: the right matrix [4H, U].
    packed, columns = empty_packed(units, 4 * width, d_gates), round_up(units, PANEL)
    d_recurrent = empty_words(batch * columns).view(np.float32).reshape(batch, columns)
    d_recurrent[:] = np.float32(0)
    scratch = np.empty(4 * units, np.float32)
    pack(recurrent_matrix, first, units, d_gates, packed)
    begin(d_gates, batch)
    for t in range(steps - 1, -1, -1):
        step_backward(
            gates, cells, d_outputs, d_recurrent, d_cell, d_gates, scratch, t, first, units
        )
        # The product reads the gradients of the gates of all units.
        phase += 1
        barrier(arrivals, rank, phase, sched_yield)
        matmul_of_series(d_gates[t], packed, d_recurrent, t % 2 == 1)
    end(d_gates)
    d_hidden[:, first:last] = d_recurrent[:, :units]


@Kernel
def recurrent_gradient(  # noqa: PLR0917
    rank: int,
    arrivals: Array,
    sched_yield: int,
    d_gates: Array,
    hiddens: Array,
    transposed: Array,
    d_matrix: Array,
) -> None:
    """Computes a rank's rows of the recurrent matrix's gradient; all ranks must run together.

    One product over all time steps: ``d_matrix = d_gates^T hiddens`` with K = T B.

    Args:
        rank: of the calling thread.
        arrivals: int64 [size + 1, ARRIVALS_WIDTH]; see ``model.kernels.threads``.
        sched_yield: address of the function, 0 for none.
        d_gates: float32 or bfloat16 [T, B, 4H'].
        hiddens: of the same dtype, [T + 1, B, H'].
        transposed: uint32 [H * `packing.transposed_row_words` of T B], shared by all ranks,
            beginning with a cache line; scratch.
        d_matrix: float32 [4H, H]; the rank's rows are written.
    """
    (steps, batch, depth), (rows, width) = d_gates.shape, d_matrix.shape
    inner, size = steps * batch, len(arrivals) - 1
    first, last = rank_range(width, rank, size)
    transpose(hiddens[:-1].reshape(inner, hiddens.shape[2]), first, last, transposed)
    barrier(arrivals, rank, arrivals[rank, 0] + 1, sched_yield)
    first, last = rank_range(rows, rank, size)
    flat, out = d_gates.reshape(inner, depth), d_matrix[first:last]
    matmul_tn(flat, first, last - first, transposed, width, out)
