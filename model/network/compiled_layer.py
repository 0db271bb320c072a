"""An LSTM layer over a whole sequence, trained on a CPU by compiled code. PyTorch and Numba.

With AMX or AVX512-BF16 one compiled call computes all time steps and their matrix products
(`model.kernels.sequence`). Otherwise PyTorch multiplies and compiled code does the rest.
The cell state stays in float32 while the products run in bfloat16; ``nn.LSTM`` under autocast
rounds the cell at every step. The recurrent matrix is packed once a sequence, and one product over
all time steps gives its gradient.
Importing Numba costs a quarter of a second and up to 100 MB, so only callers of the layer import
this module. Letters: T time, B batch, V vocabulary, D inputs, H hidden.
Equations: Hochreiter & Schmidhuber (1997), forget gate of Gers et al. (2000).
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.compute.torch_threads import prepare_thread
from model.kernels.cpu import HAS_AMX, HAS_BFLOAT16
from model.kernels.lstm_cell import step_backward, step_forward, sum_rows
from model.kernels.packing import transposed_size
from model.kernels.sequence import recurrent_gradient, sequence_backward, sequence_forward
from model.kernels.threads import Arrivals, RankWork, Team, barrier_arguments
from model.network.torch_layer import LayerState, PackedProduct

MIN_UNITS_PER_THREAD = 32
"""With fewer hidden units a thread waits at barriers for longer than it computes."""

AnyArray = npt.NDArray[Any]

_LOCAL = threading.local()


def packed_layer(  # noqa: PLR0917 - all of them are operands
    gate_inputs: Tensor,
    ids: Tensor | None,
    biases: tuple[Tensor, Tensor],
    recurrent: Tensor,
    state: LayerState,
    products: torch.dtype,
) -> tuple[Tensor, LayerState]:
    """Runs the compiled LSTM layer.

    Args:
        gate_inputs: what the layer's inputs add to its gates, [T, B, 4H] in the type of the weights
            or of the products; or a table of it, [V, 4H].
        ids: int64 [T, B], the row of the table for each character; None without a table.
        biases: two of [4H].
        recurrent: [4H, H].
        state: carried in; hidden and cell state, each [B, H].
        products: type of the matrix products.

    Returns:
        The outputs [T, B, H] and the state after the last time step.
    """
    outputs, hidden, cell = PackedLSTMLayer.apply(  # type: ignore[no-untyped-call]
        gate_inputs, ids, *biases, recurrent, *state, products
    )
    return outputs, (hidden, cell)


class PackedLSTMLayer(torch.autograd.Function):
    """The layer with an explicit backward pass; see `packed_layer`.

    For the backward pass it keeps 5H numbers per time step and stream: the four gates after their
    nonlinearities, and the cell state.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes them by position
        ctx: Any,
        gate_inputs: Tensor,
        ids: Tensor | None,
        inner_bias: Tensor,
        recurrent_bias: Tensor,
        recurrent: Tensor,
        hidden: Tensor,
        cell: Tensor,
        products: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns outputs [T, B, H], last hidden state [B, H], last cell state [B, H]."""
        steps, batch = gate_inputs.shape[:2] if ids is None else ids.shape
        width = recurrent.shape[1]
        rows = torch.arange(steps * batch).view(steps, batch) if ids is None else ids.contiguous()
        gates = recurrent.new_empty((steps, batch, 4 * width))
        hiddens = gates.new_empty((steps + 1, batch, width), dtype=products)
        hiddens[0] = hidden
        outputs = gates.new_empty((steps, batch, width))
        cells = gates.new_empty((steps + 1, batch, width))
        cells[0] = cell
        table = gate_inputs.detach().contiguous().view(-1, 4 * width)
        bias = (inner_bias + recurrent_bias).detach()
        inputs = (_array(table), _array(rows), _array(bias))
        written = (_array(gates), _array(cells), _array(hiddens), _array(outputs))
        if _runs_in_one_call(width, products):
            matrix = recurrent.detach().contiguous()

            def work(rank: int, arrivals: Arrivals) -> None:
                barrier = barrier_arguments(rank, arrivals)
                sequence_forward.run(*barrier, *inputs, matrix.numpy(), *written)

            _in_team(width, work)
        else:
            matrix = recurrent.to(products)
            product = PackedProduct(matrix, rows=batch, products=products)
            step = step_forward.run
            for t, operand in enumerate(hiddens[:-1].unbind(0)):
                step(*inputs, _array(product(operand)), *written, t, 0)
        ctx.save_for_backward(gates, hiddens, cells, matrix, ids)
        ctx.products, ctx.input_type, ctx.symbols = products, table.dtype, len(table)
        ctx.set_materialize_grads(False)
        return outputs, outputs[-1].clone(), cells[-1].clone()

    @staticmethod
    def backward(
        ctx: Any, *gradients: Tensor | None
    ) -> tuple[Tensor, None, Tensor, Tensor, Tensor, Tensor | None, Tensor, None]:
        """Returns the gradients of gate inputs, biases, recurrent matrix, hidden and cell state.

        Args:
            ctx: what `forward` kept.
            gradients: of outputs [T, B, H], last hidden state [B, H] and last cell state [B, H];
                None for zeros.
        """
        gates, hiddens, cells, matrix, ids = ctx.saved_tensors
        steps, (batch, width) = len(gates), cells.shape[1:]
        d_outputs, last_hidden, last_cell = gradients
        if d_outputs is None:
            d_outputs = gates.new_zeros((steps, batch, width))
        d_outputs = d_outputs.contiguous()
        if last_hidden is not None:
            d_outputs = d_outputs.clone()
            d_outputs[-1] += last_hidden
        d_cell = torch.zeros_like(cells[0]) if last_cell is None else last_cell.clone()
        d_gates = torch.empty_like(gates, dtype=ctx.products)
        read = (_array(gates), _array(cells), _array(d_outputs))
        written = (_array(d_cell), _array(d_gates))
        in_one_call = _runs_in_one_call(width, ctx.products)
        if in_one_call:
            d_hidden = _hidden_gradient(batch, matrix, read, written)
        else:
            d_hidden = torch.zeros_like(hiddens[0])
            product = PackedProduct(matrix.t().contiguous(), rows=batch, products=ctx.products)
            step, rows_of_steps = step_backward.run, d_gates.unbind(0)
            for t in range(steps - 1, -1, -1):
                step(*read, _array(d_hidden), *written, t, 0)
                if t or ctx.needs_input_grad[5]:
                    d_hidden = product(rows_of_steps[t])
        flat = d_gates.view(steps * batch, 4 * width)
        if in_one_call and HAS_AMX:
            d_matrix = _recurrent_gradient(d_gates, hiddens)
        else:
            d_matrix = torch.mm(flat.t(), hiddens[:-1].view(steps * batch, width))
        # The rows of a table's gradient sum to the bias's. Without a table all rows count as one.
        rows = torch.zeros(len(flat), dtype=torch.int64) if ids is None else ids.reshape(-1)
        sums = gates.new_zeros((1 if ids is None else ctx.symbols, 4 * width))
        sum_rows.run(_array(flat), _array(rows), _array(sums))
        d_bias = sums.sum(0)
        return (
            d_gates.to(ctx.input_type) if ids is None else sums,
            None,
            d_bias,
            d_bias.clone(),  # a separate tensor, because gradients are changed in place
            d_matrix.to(gates.dtype),
            d_hidden.to(gates.dtype) if ctx.needs_input_grad[5] else None,
            d_cell,
            None,
        )


def prepare_packed_layer(products: torch.dtype) -> None:
    """Compiles the layer's kernels for this processor, or loads them from the disk.

    Args:
        products: type of the matrix products.
    """
    gates, cells, outputs = (torch.zeros(shape) for shape in ((1, 1, 4), (2, 1, 1), (1, 1, 1)))
    rounded, hiddens = gates.to(products), cells.to(products)
    ids = torch.zeros(1, 1, dtype=torch.int64)
    for inputs in (gates[0], rounded[0]):
        forward = (inputs, ids, gates[0, 0], rounded[0], gates, cells, hiddens, outputs)
        step_forward.run(*map(_array, forward), 0, 0)
    backward = (gates, cells, outputs, hiddens[0], cells[0], rounded)
    step_backward.run(*map(_array, backward), 0, 0)
    if _runs_in_one_call(2, products):
        _prepare_sequences()
    sum_rows.run(*map(_array, (rounded[0], ids[0], gates[0])))


def _prepare_sequences() -> None:
    """Compiles the kernels of whole sequences, or loads them from the disk."""
    gates, cells, outputs = (torch.zeros(shape) for shape in ((1, 1, 8), (2, 1, 2), (1, 1, 2)))
    rounded, hiddens = gates.bfloat16(), cells.bfloat16()
    ids, matrix = torch.zeros(1, 1, dtype=torch.int64), np.zeros((8, 2), np.float32)
    written = tuple(map(_array, (gates, cells, hiddens, outputs)))

    def work(rank: int, arrivals: Arrivals) -> None:
        barrier = barrier_arguments(rank, arrivals)
        for table in (gates[0], rounded[0]):
            inputs = map(_array, (table, ids, gates[0, 0]))
            sequence_forward.run(*barrier, *inputs, matrix, *written)
        read, d_recurrent = map(_array, (gates, cells, outputs)), np.zeros((1, 2), np.float32)
        gradients = map(_array, (cells[1], rounded))
        sequence_backward.run(*barrier, *read, matrix, d_recurrent, *gradients)
        if HAS_AMX:
            transposed = _empty_transposed(2, 1)
            recurrent_gradient.run(*barrier, _array(rounded), _array(hiddens), transposed, matrix)

    Team(1).run(1, work)


def _in_team(width: int, work: RankWork) -> None:
    """Runs the work on as many threads as PyTorch may use in the calling thread."""
    threads = _threads_for(width)
    if threads > getattr(_LOCAL, "most", 0):
        # Each calling thread has a separate team: two calls must not share barriers.
        _LOCAL.team, _LOCAL.most = Team(threads, lambda: prepare_thread(1)), threads
    _LOCAL.team.run(threads, work)


def _empty_transposed(width: int, count: int) -> npt.NDArray[np.uint32]:
    """Returns a buffer for ``count`` transposed states, aligned to a cache line by PyTorch."""
    return torch.empty(transposed_size(width, count), dtype=torch.int32).numpy().view(np.uint32)


def _threads_for(width: int) -> int:
    """Returns how many threads share the units."""
    return min(torch.get_num_threads(), max(1, width // MIN_UNITS_PER_THREAD))


def _units_of(rank: int, width: int, size: int) -> int:
    """Returns how many of ``width`` units the thread ``rank`` of ``size`` threads has."""
    return width * (rank + 1) // size - width * rank // size


def _runs_in_one_call(width: int, products: torch.dtype) -> bool:
    """Whether one compiled call computes the sequence, matrix products included."""
    return HAS_BFLOAT16 and products is torch.bfloat16 and width % 2 == 0


def _hidden_gradient(
    batch: int, matrix: Tensor, read: tuple[AnyArray, ...], written: tuple[AnyArray, ...]
) -> Tensor:
    """Runs the backward pass of a whole sequence in one compiled call.

    Args:
        batch: B.
        matrix: recurrent weights, float32 [4H, H].
        read: gates [T, B, 4H], cell states [T + 1, B, H], gradients of the outputs [T, B, H].
        written: gradients of the cell state [B, H] and of the gates [T, B, 4H].

    Returns:
        The gradient of the hidden state carried in, [B, H].
    """
    width = matrix.shape[1]
    d_recurrent: dict[int, Tensor] = {}  # by rank: [B, its units]

    def work(rank: int, arrivals: Arrivals) -> None:
        d_recurrent[rank] = torch.zeros(batch, _units_of(rank, width, len(arrivals) - 1))
        before = (*barrier_arguments(rank, arrivals), *read, matrix.numpy())
        sequence_backward.run(*before, d_recurrent[rank].numpy(), *written)

    _in_team(width, work)
    return torch.cat([d_recurrent[rank] for rank in sorted(d_recurrent)], dim=1)


def _recurrent_gradient(d_gates: Tensor, hiddens: Tensor) -> Tensor:
    """Computes the recurrent matrix's gradient by AMX.

    Args:
        d_gates: bfloat16 [T, B, 4H].
        hiddens: bfloat16 [T + 1, B, H], from the state carried in to the last one.

    Returns:
        float32 [4H, H].
    """
    steps, batch, gates = d_gates.shape
    width = gates // 4
    transposed = _empty_transposed(width, steps * batch)
    d_matrix = torch.empty(gates, width)

    def work(rank: int, arrivals: Arrivals) -> None:
        barrier, out = barrier_arguments(rank, arrivals), d_matrix.numpy()
        recurrent_gradient.run(*barrier, _array(d_gates), _array(hiddens), transposed, out)

    _in_team(width, work)
    return d_matrix


def _array(tensor: Tensor) -> AnyArray:
    """Returns a tensor's memory as the kernels read it; bfloat16 as uint16 bits."""
    if tensor.dtype is torch.bfloat16:
        return tensor.view(torch.uint16).numpy()
    return tensor.numpy()
