"""All time steps of an LSTM layer in one piece of compiled code, products included. Numba.

Threads share the hidden units and meet once a step. Letters: T time, B batch, H hidden, U hidden
units of a thread; bfloat16 comes as its bits, in ``uint16``.
"""

from __future__ import annotations

import numpy as np

from model.kernels.amx import configure, release
from model.kernels.barrier import barrier
from model.kernels.dtypes import Array
from model.kernels.jit import Kernel, inline
from model.kernels.lstm_cell import step_backward, step_forward
from model.kernels.matmul import matmul_packed, matmul_tn
from model.kernels.packing import empty_packed, pack, pack_transposed, transpose

_step_forward, _step_backward = inline(step_forward.function), inline(step_backward.function)


@inline
def _share(part: int, parts: int, width: int) -> tuple[int, int]:
    """Returns a thread's first unit, and how many it has."""
    first = width * part // parts
    return first, width * (part + 1) // parts - first


@Kernel
def sequence_forward(  # noqa: PLR0917 - compiled code takes them by position
    part: int,
    clocks: Array,
    pause: int,
    inputs: Array,
    ids: Array,
    bias: Array,
    recurrent: Array,
    gates: Array,
    cells: Array,
    hiddens: Array,
    outputs: Array,
) -> None:
    """Does a thread's part of all time steps: its units, products included; see `step_forward`.

    Args:
        part: which one this is; all must be at it at the same time.
        clocks: of ``model.kernels.threads``.
        pause: see ``model.kernels.threads.yield_address``.
        inputs: [N, 4H].
        ids: [T, B].
        bias: [4H].
        recurrent: float32 [4H, H], H even.
        gates: [T, B, 4H].
        cells: [T + 1, B, H].
        hiddens: [T + 1, B, H].
        outputs: [T, B, H].
    """
    steps, batch, width = outputs.shape
    first, units = _share(part, len(clocks) - 1, width)
    meetings = clocks[part, 0]
    matrix, added = empty_packed(4 * units, width), np.empty((batch, 4 * units), np.float32)
    for gate in range(4):
        row = gate * width + first
        pack(recurrent[row : row + units], gate * units, 4 * units, matrix)
    configure(batch)
    for t in range(steps):
        matmul_packed(hiddens[t], matrix, 4 * units, added, t % 2 == 1)
        _step_forward(inputs, ids, bias, added, gates, cells, hiddens, outputs, t, first)
        meetings += 1
        barrier(clocks, part, meetings, pause)
    release()


@Kernel
def sequence_backward(  # noqa: PLR0917
    part: int,
    clocks: Array,
    pause: int,
    gates: Array,
    cells: Array,
    outer: Array,
    recurrent: Array,
    added: Array,
    d_cell: Array,
    d_gates: Array,
) -> None:
    """Does a thread's part of the way back through all time steps; see `step_backward`.

    Args:
        part: which one this is; all must be at it at the same time.
        clocks: of ``model.kernels.threads``.
        pause: see ``model.kernels.threads.yield_address``.
        gates: [T, B, 4H].
        cells: [T + 1, B, H].
        outer: [T, B, H].
        recurrent: float32 [4H, H], H even.
        added: [B, U]; zeros; becomes the gradient of the units' state before the first step.
        d_cell: [B, H]; becomes the gradient of the cell state before the first step.
        d_gates: [T, B, 4H].
    """
    steps, batch, width = outer.shape
    first, units = _share(part, len(clocks) - 1, width)
    meetings = clocks[part, 0]
    matrix = empty_packed(units, 4 * width)
    pack_transposed(recurrent, first, units, matrix)
    configure(batch)
    for t in range(steps - 1, -1, -1):
        _step_backward(gates, cells, outer, added, d_cell, d_gates, t, first)
        meetings += 1
        barrier(clocks, part, meetings, pause)
        matmul_packed(d_gates[t], matrix, units, added, t % 2 == 1)
    release()


@Kernel
def recurrent_gradient(  # noqa: PLR0917
    part: int,
    clocks: Array,
    pause: int,
    d_gates: Array,
    hiddens: Array,
    turned: Array,
    d_recurrent: Array,
) -> None:
    """Does a thread's part of the recurrent matrix's gradient, where the unit multiplies.

    Args:
        part: which one this is; all must be at it at the same time.
        clocks: of ``model.kernels.threads``.
        pause: see ``model.kernels.threads.yield_address``.
        d_gates: [T, B, 4H].
        hiddens: [T + 1, B, H].
        turned: of `room_for_turned`, for all threads; written over.
        d_recurrent: [4H, H], written.
    """
    steps, batch, width = d_gates.shape[0], d_gates.shape[1], hiddens.shape[2]
    first, units = _share(part, len(clocks) - 1, width)
    count = steps * batch
    transpose(hiddens[:-1].reshape(count, width), first, first + units, turned)
    barrier(clocks, part, clocks[part, 0] + 1, pause)
    sides = empty_packed(units, count)
    flat = d_gates.reshape(count, 4 * width)
    for gate in range(4):
        row = gate * width + first
        pack_transposed(flat, row, units, sides)
        out = d_recurrent[row : row + units]
        matmul_tn(count, sides, units, turned, width, out)
