"""One LSTM layer over a whole sequence, trained: PyTorch's own, or one written for the CPU here.

Ours keeps the cell state in float32 while the products run in bfloat16, packs the recurrent matrix
once per sequence, and gathers the weight gradient in one product over all time steps, where
``nn.LSTM`` under autocast rounds the cell at every step. It wins where the products are large; for
small layers PyTorch's fused loop does. ``model.self_timing`` measures which. Letters: T time, B
batch, H hidden. Equations: Hochreiter & Schmidhuber (1997), forget gate of Gers et al. (2000).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

LayerKind = Literal["torch", "packed", "whole"]
"""PyTorch's ``nn.LSTM`` layer by layer, or `PackedLSTMLayer`, or ``nn.LSTM`` with all its layers at
once where nothing is dropped: cuDNN then computes several layers side by side."""

LayerState = tuple[Tensor, Tensor]
"""Hidden and cell state of one layer, each [B, H]."""


def torch_layer(
    inputs: Tensor,
    weights: tuple[Tensor, Tensor, Tensor, Tensor],
    state: LayerState,
) -> tuple[Tensor, LayerState]:
    """Runs PyTorch's LSTM for one layer; autocast decides the type of its products.

    Args:
        inputs: [T, B, D].
        weights: [4H, D], [4H, H], [4H], [4H], as in ``nn.LSTM``'s state dict.
        state: what is carried in.

    Returns:
        Outputs [T, B, H] and the state to carry on.
    """
    outputs, hidden, cell = torch._VF.lstm(  # noqa: SLF001
        inputs,
        (state[0].unsqueeze(0), state[1].unsqueeze(0)),
        list(weights),
        True,  # biases
        1,
        0.0,
        True,  # training
        False,
        False,
    )
    return outputs, (hidden[0], cell[0])


def packed_layer(
    gate_inputs: Tensor, recurrent: Tensor, state: LayerState, products: torch.dtype
) -> tuple[Tensor, LayerState]:
    """Runs our LSTM layer.

    Args:
        gate_inputs: [T, B, 4H], what the layer's inputs and biases add to its gates, rows as
            `packed_rows` has them; used up: it must be nobody's leaf.
        recurrent: [4H, H], rows likewise.
        state: what is carried in.
        products: type of the matrix products.
    """
    outputs, hidden, cell = PackedLSTMLayer.apply(  # type: ignore[no-untyped-call]
        gate_inputs, recurrent, *state, products
    )
    return outputs, (hidden, cell)


def packed_rows(rows: Tensor) -> Tensor:
    """Puts gate rows [4H, ...] from ``nn.LSTM``'s i, f, g, o into our i, f, o, g; halves i, f, o.

    One ``tanh`` over the whole slab then serves all four gates: ``sigmoid(x) = tanh(x/2)/2 + 1/2``.
    """
    i, f, g, o = rows.chunk(4)
    return torch.cat([i * 0.5, f * 0.5, o * 0.5, g])


def can_pack() -> bool:
    """Whether this build of PyTorch packs bfloat16 matrices for its CPU products."""
    try:
        matrix = torch.eye(16, dtype=torch.bfloat16)
        packed = _Product(matrix, rows=2, products=torch.bfloat16)
        return bool((packed(matrix[:2]) == matrix[:2]).all())
    except (RuntimeError, AttributeError, NotImplementedError):
        return False


class _Product:
    """``x -> x @ matrix.T`` for many x of the same shape, with the matrix packed once if it can."""

    def __init__(self, matrix: Tensor, *, rows: int, products: torch.dtype) -> None:
        self._packed: Tensor | None = None
        self._transposed = matrix.t()
        if products is torch.bfloat16:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(matrix, rows)  # noqa: SLF001

    def __call__(self, x: Tensor) -> Tensor:
        if self._packed is None:
            return torch.mm(x, self._transposed)
        return torch.ops.mkldnn._linear_pointwise(  # type: ignore[no-any-return]  # noqa: SLF001
            x, self._packed, None, "none", [], ""
        )


class PackedLSTMLayer(torch.autograd.Function):
    """The layer with its backward pass written out; see `packed_layer`.

    Per time step and stream it keeps the four gates after their nonlinearities, the cell state and
    its tanh (6H numbers) for the way back.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes them by position
        ctx: Any,
        gate_inputs: Tensor,
        recurrent: Tensor,
        hidden: Tensor,
        cell: Tensor,
        products: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns outputs [T, B, H], last hidden state [B, H], last cell state [B, H]."""
        steps, batch, _ = gate_inputs.shape
        width = recurrent.shape[1]
        matrix = recurrent.to(products)
        product = _Product(matrix, rows=batch, products=products)
        gates = gate_inputs.detach()
        hiddens = gates.new_empty((steps + 1, batch, width), dtype=products)
        hiddens[0] = hidden
        outputs = gates.new_empty((steps, batch, width))
        cells = gates.new_empty((steps + 1, batch, width))
        cells[0] = cell
        squashed = torch.empty_like(outputs)
        inputs, cell_row = hiddens.unbind(0), cells.unbind(0)
        rows = zip(gates.unbind(0), outputs.unbind(0), squashed.unbind(0), strict=True)
        for t, (gate, output, tanh_cell) in enumerate(rows):
            gate.add_(product(inputs[t]))
            _tanh(gate, gate)
            gate[:, : 3 * width].mul_(0.5).add_(0.5)
            i, f, o, g = gate.chunk(4, dim=1)
            after = cell_row[t + 1]
            torch.mul(cell_row[t], f, out=after)
            after.addcmul_(i, g)
            _tanh(after, tanh_cell)
            torch.mul(o, tanh_cell, out=output)
            inputs[t + 1].copy_(output)
        ctx.save_for_backward(gates, hiddens, cells, squashed, matrix)
        ctx.products = products
        return outputs, outputs[-1].clone(), cells[-1].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        """Returns the gradients of gate inputs, recurrent matrix, hidden and cell state."""
        outer, last_hidden, last_cell = gradients
        gates, hiddens, cells, squashed, matrix = ctx.saved_tensors
        steps, batch, width = squashed.shape
        product = _Product(matrix.t().contiguous(), rows=batch, products=ctx.products)
        # The gate gradients of all steps, in the type of the products; one step's in full.
        rounded = torch.empty_like(gates, dtype=ctx.products)
        gate_gradient = torch.empty_like(gates[0])
        slope = gate_gradient.new_empty((batch, 3 * width))
        d_hidden = last_hidden + outer[-1]
        d_cell = last_cell.clone()
        scratch = torch.empty_like(d_cell)
        rows = (gates.unbind(0), squashed.unbind(0), cells.unbind(0), rounded.unbind(0))
        for t in range(steps - 1, -1, -1):
            gate, tanh_cell, before, out = rows[0][t], rows[1][t], rows[2][t], rows[3][t]
            i, f, o, g = gate.chunk(4, dim=1)
            d_i, d_f, d_o, d_g = gate_gradient.chunk(4, dim=1)
            sigmoids = gate[:, : 3 * width]
            torch.mul(sigmoids, sigmoids, out=slope)
            torch.sub(sigmoids, slope, out=slope).mul_(2)  # 2 (s - s^2): the rows are halved
            torch.mul(d_hidden, o, out=scratch)
            d_cell += scratch
            scratch *= tanh_cell
            d_cell.addcmul_(scratch, tanh_cell, value=-1)
            torch.mul(d_cell, g, out=d_i)
            torch.mul(d_cell, before, out=d_f)
            torch.mul(d_hidden, tanh_cell, out=d_o)
            gate_gradient[:, : 3 * width].mul_(slope)
            torch.mul(d_cell, i, out=scratch)
            torch.mul(scratch, g, out=d_g)
            torch.addcmul(scratch, d_g, g, value=-1, out=d_g)
            d_cell *= f
            out.copy_(gate_gradient)
            if t:
                torch.add(outer[t - 1], product(out), out=d_hidden)
            else:
                d_hidden = product(out).to(d_cell.dtype)
        flat = rounded.view(steps * batch, 4 * width)
        previous = hiddens[:-1].view(steps * batch, width)
        d_matrix = torch.mm(flat.t(), previous)
        return rounded.to(gates.dtype), d_matrix.to(gates.dtype), d_hidden, d_cell, None


def _tanh(x: Tensor, out: Tensor) -> None:
    """Writes ``tanh(x)`` to ``out``; NumPy's is several times faster than PyTorch's on a CPU."""
    np.tanh(x.numpy(), out=out.numpy())
