"""All time steps of an LSTM layer in one piece of compiled code, products included. Numba.

Threads share the hidden units and meet at one barrier a step. Letters: T time, B batch, H hidden,
U hidden units of a thread; bfloat16 is stored as its bits, in ``uint16``.
"""

from __future__ import annotations

import numpy as np

from model.kernels.amx import configure_tiles, release_tiles
from model.kernels.barrier import barrier, rank_range
from model.kernels.dtypes import Array
from model.kernels.jit import Kernel, inline
from model.kernels.lstm_cell import step_backward, step_forward
from model.kernels.matmul import matmul_packed, matmul_tn
from model.kernels.packing import empty_packed, pack, pack_transposed, transpose

_step_forward, _step_backward = inline(step_forward.function), inline(step_backward.function)


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
        input_gates: float32 or bfloat16 [N, 4H], what the layer's inputs add to the gates.
        ids: int64 [T, B], rows of ``input_gates``.
        bias: float32 [4H].
        recurrent_matrix: float32 [4H, H], H even.
        gates: float32 [T, B, 4H], the gates after their nonlinearities; written.
        cells: float32 [T + 1, B, H]; the first is read, the others are written.
        hiddens: bfloat16 [T + 1, B, H]; the first is read, the others are written.
        outputs: float32 [T, B, H], the hidden states unrounded; written.
    """
    steps, batch, width = outputs.shape
    first, last = rank_range(width, rank, len(arrivals) - 1)
    units, phase = last - first, arrivals[rank, 0]
    # Packed once for all steps: the right matrix [H, 4U], one gate after the other.
    packed = empty_packed(4 * units, width)
    recurrent_gates = np.empty((batch, 4 * units), np.float32)
    for gate in range(4):
        row = gate * width + first
        pack(recurrent_matrix[row : row + units], gate * units, 4 * units, packed)
    configure_tiles(batch)
    for t in range(steps):
        # Every other step goes backwards: a cache too small for the matrix holds its end.
        matmul_packed(hiddens[t], packed, 4 * units, recurrent_gates, t % 2 == 1)
        _step_forward(
            input_gates, ids, bias, recurrent_gates, gates, cells, hiddens, outputs, t, first
        )
        # The next product reads the hidden state of all units.
        phase += 1
        barrier(arrivals, rank, phase, sched_yield)
    release_tiles()


@Kernel
def sequence_backward(  # noqa: PLR0917
    rank: int,
    arrivals: Array,
    sched_yield: int,
    gates: Array,
    cells: Array,
    d_outputs: Array,
    recurrent_matrix: Array,
    d_recurrent: Array,
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
        d_outputs: float32 [T, B, H], gradient of the outputs from what reads the layer.
        recurrent_matrix: float32 [4H, H], H even.
        d_recurrent: float32 [B, U], zeros; becomes the gradient of the units' first hidden state.
        d_cell: float32 [B, H], gradient of the last cell state; becomes that of the first.
        d_gates: bfloat16 [T, B, 4H], gradient of the sums that go into the gates; written.
    """
    steps, batch, width = d_outputs.shape
    first, last = rank_range(width, rank, len(arrivals) - 1)
    units, phase = last - first, arrivals[rank, 0]
    # Packed once for all steps: the right matrix [4H, U].
    packed = empty_packed(units, 4 * width)
    pack_transposed(recurrent_matrix, first, units, packed)
    configure_tiles(batch)
    for t in range(steps - 1, -1, -1):
        _step_backward(gates, cells, d_outputs, d_recurrent, d_cell, d_gates, t, first)
        # The product reads the gradients of the gates of all units.
        phase += 1
        barrier(arrivals, rank, phase, sched_yield)
        matmul_packed(d_gates[t], packed, units, d_recurrent, t % 2 == 1)
    release_tiles()


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
    """Computes a rank's rows of the recurrent matrix's gradient, with AMX.

    One product over all time steps: ``d_matrix = d_gates^T hiddens`` with K = T B.

    Args:
        rank: of the calling thread.
        arrivals: int64 [size + 1, ARRIVALS_WIDTH]; see ``model.kernels.threads``.
        sched_yield: address of the function, 0 for none.
        d_gates: bfloat16 [T, B, 4H].
        hiddens: bfloat16 [T + 1, B, H].
        transposed: uint32 [`transposed_size` of H columns and TB inner indices], shared by all
            ranks, beginning with a cache line; scratch.
        d_matrix: float32 [4H, H]; the rank's rows are written.
    """
    steps, batch, width = d_gates.shape[0], d_gates.shape[1], hiddens.shape[2]
    first, last = rank_range(width, rank, len(arrivals) - 1)
    units, inner = last - first, steps * batch
    transpose(hiddens[:-1].reshape(inner, width), first, last, transposed)
    barrier(arrivals, rank, arrivals[rank, 0] + 1, sched_yield)
    packed_gradients = empty_packed(units, inner)
    flat = d_gates.reshape(inner, 4 * width)
    # One gate at a time: the rows of a gate's units are contiguous in the matrix.
    for gate in range(4):
        row = gate * width + first
        pack_transposed(flat, row, units, packed_gradients)
        out = d_matrix[row : row + units]
        matmul_tn(inner, packed_gradients, units, transposed, width, out)
