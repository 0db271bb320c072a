"""Our LSTM layer over a whole sequence, trained on a CPU. PyTorch for products, Numba for the rest.

Where the processor has a matrix unit or products of pairs, all time steps are one piece of compiled
code, products included (`model.kernels.sequence`). The cell state stays in float32 while the
products run in bfloat16, the recurrent matrix is packed once per sequence, and the weight gradient
is gathered in one product over all time steps, where ``nn.LSTM`` under autocast rounds the cell at
every step.
Numba costs a quarter of a second and up to 100 MB: only who uses the layer imports this module.
Letters: T time, B batch, H hidden.
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
from model.kernels.threads import Arrivals, Part, Team, barrier_arguments
from model.network.torch_layer import LayerState, PackedProduct

LEAST_UNITS = 32
"""Hidden units of a thread; with fewer it waits longer for the others than it computes."""

_LOCAL = threading.local()


def packed_layer(  # noqa: PLR0917 - all of them are operands
    gate_inputs: Tensor,
    ids: Tensor | None,
    biases: tuple[Tensor, Tensor],
    recurrent: Tensor,
    state: LayerState,
    products: torch.dtype,
) -> tuple[Tensor, LayerState]:
    """Runs our LSTM layer.

    Args:
        gate_inputs: what the layer's inputs add to its gates, [T, B, 4H] in the type of the weights
            or of the products; or a table of it, [V, 4H].
        ids: int64 [T, B], the rows of the table that count; None without a table.
        biases: [4H] each.
        recurrent: [4H, H].
        state: what is carried in.
        products: type of the matrix products.
    """
    outputs, hidden, cell = PackedLSTMLayer.apply(  # type: ignore[no-untyped-call]
        gate_inputs, ids, *biases, recurrent, *state, products
    )
    return outputs, (hidden, cell)


class PackedLSTMLayer(torch.autograd.Function):
    """The layer with its backward pass written out; see `packed_layer`.

    Per time step and stream it keeps the four gates after their nonlinearities and the cell state
    (5H numbers) for the way back.
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
        given = (_array(table), _array(rows), _array(bias))
        written = (_array(gates), _array(cells), _array(hiddens), _array(outputs))
        if _is_one_piece(width, products):
            matrix = recurrent.detach().contiguous()

            def work(part: int, clocks: Arrivals) -> None:
                before = (*barrier_arguments(part, clocks), *given, matrix.numpy())
                sequence_forward.run(*before, *written)

            _in_team(width, work)
        else:
            matrix = recurrent.to(products)
            product = PackedProduct(matrix, rows=batch, products=products)
            step = step_forward.run
            for t, operand in enumerate(hiddens[:-1].unbind(0)):
                step(*given, _array(product(operand)), *written, t, 0)
        ctx.save_for_backward(gates, hiddens, cells, matrix, ids)
        ctx.products, ctx.given, ctx.symbols = products, table.dtype, len(table)
        ctx.set_materialize_grads(False)
        return outputs, outputs[-1].clone(), cells[-1].clone()

    @staticmethod
    def backward(
        ctx: Any, *gradients: Tensor | None
    ) -> tuple[Tensor, None, Tensor, Tensor, Tensor, Tensor | None, Tensor, None]:
        """Returns the gradients of gate inputs, biases, recurrent matrix, hidden and cell state."""
        gates, hiddens, cells, matrix, ids = ctx.saved_tensors
        steps, (batch, width) = len(gates), cells.shape[1:]
        outer, last_hidden, last_cell = gradients
        outer = gates.new_zeros((steps, batch, width)) if outer is None else outer.contiguous()
        if last_hidden is not None:
            outer = outer.clone()
            outer[-1] += last_hidden
        d_cell = torch.zeros_like(cells[0]) if last_cell is None else last_cell.clone()
        d_gates = torch.empty_like(gates, dtype=ctx.products)
        read = (_array(gates), _array(cells), _array(outer))
        written = (_array(d_cell), _array(d_gates))
        is_one_piece = _is_one_piece(width, ctx.products)
        if is_one_piece:
            parts: dict[int, Tensor] = {}

            def work(part: int, clocks: Arrivals) -> None:
                parts[part] = torch.zeros(batch, _units_of(part, width, len(clocks) - 1))
                before = (*barrier_arguments(part, clocks), *read, matrix.numpy())
                sequence_backward.run(*before, parts[part].numpy(), *written)

            _in_team(width, work)
            d_hidden = torch.cat([parts[part] for part in sorted(parts)], dim=1)
        else:
            d_hidden = torch.zeros_like(hiddens[0])
            product = PackedProduct(matrix.t().contiguous(), rows=batch, products=ctx.products)
            step, rows_of_steps = step_backward.run, d_gates.unbind(0)
            for t in range(steps - 1, -1, -1):
                step(*read, _array(d_hidden), *written, t, 0)
                if t or ctx.needs_input_grad[5]:
                    d_hidden = product(rows_of_steps[t])
        flat = d_gates.view(steps * batch, 4 * width)
        if is_one_piece and HAS_AMX:
            d_matrix = _recurrent_gradient(d_gates, hiddens)
        else:
            d_matrix = torch.mm(flat.t(), hiddens[:-1].view(steps * batch, width))
        # A table's gradient adds up to the bias's; without one the whole batch is one row of it.
        rows = torch.zeros(len(flat), dtype=torch.int64) if ids is None else ids.reshape(-1)
        sums = gates.new_zeros((1 if ids is None else ctx.symbols, 4 * width))
        sum_rows.run(_array(flat), _array(rows), _array(sums))
        d_bias = sums.sum(0)
        return (
            d_gates.to(ctx.given) if ids is None else sums,
            None,
            d_bias,
            d_bias.clone(),  # what is done to gradients in place must be done once to each
            d_matrix.to(gates.dtype),
            d_hidden.to(gates.dtype) if ctx.needs_input_grad[5] else None,
            d_cell,
            None,
        )


def prepare_packed_layer(products: torch.dtype) -> None:
    """Compiles what the layer needs for this processor, or finds it on the disk.

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
    if _is_one_piece(2, products):
        _prepare_sequences()
    sum_rows.run(*map(_array, (rounded[0], ids[0], gates[0])))


def _prepare_sequences() -> None:
    """Compiles what takes a whole sequence, or finds it on the disk."""
    gates, cells, outputs = (torch.zeros(shape) for shape in ((1, 1, 8), (2, 1, 2), (1, 1, 2)))
    rounded, hiddens = gates.bfloat16(), cells.bfloat16()
    ids, matrix = torch.zeros(1, 1, dtype=torch.int64), np.zeros((8, 2), np.float32)
    written = tuple(map(_array, (gates, cells, hiddens, outputs)))

    def work(part: int, clocks: Arrivals) -> None:
        first = barrier_arguments(part, clocks)
        for inputs in (gates[0], rounded[0]):
            given = map(_array, (inputs, ids, gates[0, 0]))
            sequence_forward.run(*first, *given, matrix, *written)
        read, added = map(_array, (gates, cells, outputs)), np.zeros((1, 2), np.float32)
        given = map(_array, (cells[1], rounded))
        sequence_backward.run(*first, *read, matrix, added, *given)
        if HAS_AMX:
            turned = _room_for_turned(2, 1)
            recurrent_gradient.run(*first, _array(rounded), _array(hiddens), turned, matrix)

    Team(1).run(1, work)


def _in_team(width: int, work: Part) -> None:
    """Does the work in as many parts as this thread may use threads for PyTorch's operations."""
    threads = _threads_for(width)
    if threads > getattr(_LOCAL, "most", 0):
        # One of its own for each thread that computes: parts of two must not wait for each other.
        _LOCAL.team, _LOCAL.most = Team(threads, lambda: prepare_thread(1)), threads
    _LOCAL.team.run(threads, work)


def _room_for_turned(width: int, count: int) -> npt.NDArray[np.uint32]:
    """Returns room for the states of all steps, turned; PyTorch has it begin with a line."""
    return torch.empty(transposed_size(width, count), dtype=torch.int32).numpy().view(np.uint32)


def _threads_for(width: int) -> int:
    """Returns how many parts the units are shared out in."""
    return min(torch.get_num_threads(), max(1, width // LEAST_UNITS))


def _units_of(part: int, width: int, parts: int) -> int:
    """Returns how many units a part has."""
    return width * (part + 1) // parts - width * part // parts


def _is_one_piece(width: int, products: torch.dtype) -> bool:
    """Whether compiled code multiplies as well."""
    return HAS_BFLOAT16 and products is torch.bfloat16 and width % 2 == 0


def _recurrent_gradient(d_gates: Tensor, hiddens: Tensor) -> Tensor:
    """Returns the recurrent matrix's gradient [4H, H], made by the matrix unit."""
    steps, batch, gates = d_gates.shape
    width = gates // 4
    turned = _room_for_turned(width, steps * batch)
    d_recurrent = torch.empty(gates, width)

    def work(part: int, clocks: Arrivals) -> None:
        before = barrier_arguments(part, clocks)
        out = d_recurrent.numpy()
        recurrent_gradient.run(*before, _array(d_gates), _array(hiddens), turned, out)

    _in_team(width, work)
    return d_recurrent


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    """Returns the numbers of a tensor as the kernels take them, in place."""
    if tensor.dtype is torch.bfloat16:
        return tensor.view(torch.uint16).numpy()
    return tensor.numpy()
