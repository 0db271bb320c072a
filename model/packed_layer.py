"""Our LSTM layer over a whole sequence, trained on a CPU. PyTorch for products, Numba for the rest.

Where the processor has a matrix unit, all time steps are one piece of compiled code, products
included (`model.block_product`). The cell state stays in float32 while the products run in
bfloat16, the recurrent matrix is packed once per sequence, and the weight gradient is gathered in
one product over all time steps, where ``nn.LSTM`` under autocast rounds the cell at every step.
Numba costs a quarter of a second and up to 100 MB: only who uses the layer imports this module.
Letters: T time, B batch, H hidden.
Equations: Hochreiter & Schmidhuber (1997), forget gate of Gers et al. (2000).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.block_product import Addresses, block_product
from model.cell_kernels import (
    pack_recurrent,
    sequence_backward,
    sequence_forward,
    step_backward,
    step_forward,
    sum_rows,
)
from model.lstm_layer import LayerState, PackedProduct


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
        block = _block_product(width, products)
        if block is not None:
            operand, matrix = _packed_both_ways(recurrent)
            added = gates.new_empty((batch, 4 * width))
            sequence_forward.run(block, *given, _array(operand), _array(added), *written)
        else:
            matrix = recurrent.to(products)
            product = PackedProduct(matrix, rows=batch, products=products)
            step = step_forward.run
            for t, operand in enumerate(hiddens[:-1].unbind(0)):
                step(*given, _array(product(operand)), *written, t)
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
        block = _block_product(width, ctx.products)
        if block is not None:
            d_hidden = torch.zeros_like(cells[0])
            sequence_backward.run(block, *read, _array(matrix), _array(d_hidden), *written)
        else:
            d_hidden = torch.zeros_like(hiddens[0])
            product = PackedProduct(matrix.t().contiguous(), rows=batch, products=ctx.products)
            step, rows_of_steps = step_backward.run, d_gates.unbind(0)
            for t in range(steps - 1, -1, -1):
                step(*read, _array(d_hidden), *written, t)
                if t or ctx.needs_input_grad[5]:
                    d_hidden = product(rows_of_steps[t])
        flat = d_gates.view(steps * batch, 4 * width)
        previous = hiddens[:-1].view(steps * batch, width)
        d_matrix = torch.mm(flat.t(), previous)
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
        step_forward.prepare(*map(_array, forward), 0)
    backward = (gates, cells, outputs, hiddens[0], cells[0], rounded)
    step_backward.prepare(*map(_array, backward), 0)
    if products is torch.bfloat16 and (block := block_product()) is not None:
        _prepare_sequences(block)
    sum_rows.prepare(*map(_array, (rounded[0], ids[0], gates[0])))


def _packed_both_ways(recurrent: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the transpose and the matrix, rounded, in pairs of rows, side by side."""
    rows, width = recurrent.shape
    forwards = torch.empty((width // 2, rows, 2), dtype=torch.bfloat16)
    backwards = torch.empty((rows // 2, width, 2), dtype=torch.bfloat16)
    pairs = (tensor.view(torch.uint32)[..., 0].numpy() for tensor in (forwards, backwards))
    pack_recurrent.run(recurrent.detach().contiguous().numpy(), *pairs)
    return forwards, backwards


def _prepare_sequences(block: Addresses) -> None:
    """Compiles what takes a whole sequence, or finds it on the disk."""
    pack_recurrent.prepare(
        np.zeros((4, 1), np.float32), np.zeros((1, 4), np.uint32), np.zeros((2, 1), np.uint32)
    )
    matrix = torch.zeros(1, 8, 2, dtype=torch.bfloat16)
    gates, cells, outputs = (torch.zeros(shape) for shape in ((1, 1, 8), (2, 1, 2), (1, 1, 2)))
    rounded, hiddens = gates.bfloat16(), cells.bfloat16()
    ids = torch.zeros(1, 1, dtype=torch.int64)
    written = tuple(map(_array, (gates, cells, hiddens, outputs)))
    for inputs in (gates[0], rounded[0]):
        given = map(_array, (inputs, ids, gates[0, 0], matrix, gates[0]))
        sequence_forward.prepare(block, *given, *written)
    read = (gates, cells, outputs, matrix.view(4, 2, 2), cells[0], cells[1], rounded)
    sequence_backward.prepare(block, *map(_array, read))


def _block_product(width: int, products: torch.dtype) -> Addresses | None:
    """Returns what compiled code multiplies with; None where it cannot."""
    return block_product() if products is torch.bfloat16 and width % 2 == 0 else None


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    """Returns the numbers of a tensor as the kernels take them, in place."""
    if tensor.dtype is torch.bfloat16:
        return tensor.view(torch.uint16).numpy()
    return tensor.numpy()
