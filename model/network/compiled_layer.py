"""An LSTM layer over a whole sequence, trained on a CPU by compiled code. PyTorch and Numba.

One compiled call computes all time steps and their matrix products (`model.kernels.sequence`), in
float32 or in bfloat16. The cell state stays in float32 either way; ``nn.LSTM`` under autocast
rounds the cell at every step. The recurrent matrix is packed once a sequence, and one product over
all time steps gives its gradient.
Importing Numba costs a quarter of a second and up to 100 MB, so only callers of the layer import
this module. Letters: T time, B batch, V vocabulary, D inputs, H hidden; H' and 4H' are H and 4H
padded with zeros to ``packing.padded_depth``.
Equations: Hochreiter & Schmidhuber (1997), forget gate of Gers et al. (2000).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.compute.team import Arrivals, Team
from model.compute.torch_threads import prepare_thread
from model.config import NORM_EPSILON
from model.kernels.cell_step import Norm
from model.kernels.dtypes import Array
from model.kernels.packing import padded_depth, transposed_row_words
from model.kernels.sequence import sequence_backward, sequence_forward, weight_gradients
from model.kernels.threads import barrier_arguments
from model.network.torch_layer import LayerState

MIN_UNITS_PER_THREAD = 32
"""With fewer hidden units a thread waits at barriers for longer than it computes."""

_LOCAL = threading.local()


def compiled_layer(  # noqa: PLR0917 - all of them are operands
    gate_inputs: Tensor,
    ids: Tensor | None,
    biases: tuple[Tensor, Tensor],
    gain: Tensor | None,
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
        gain: [4H], of normalised gates; None for others.
        recurrent: [4H, H].
        state: carried in; hidden and cell state, each [B, H].
        products: type of the matrix products, float32 or bfloat16.

    Returns:
        The outputs [T, B, H] and the state after the last time step.
    """
    outputs, hidden, cell = CompiledLSTMLayer.apply(  # type: ignore[no-untyped-call]
        gate_inputs, ids, *biases, gain, recurrent, *state, products
    )
    return outputs, (hidden, cell)


class CompiledLSTMLayer(torch.autograd.Function):
    """The layer with an explicit backward pass; see `compiled_layer`.

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
        gain: Tensor | None,
        recurrent: Tensor,
        hidden: Tensor,
        cell: Tensor,
        products: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns outputs [T, B, H], last hidden state [B, H], last cell state [B, H]."""
        steps, batch = gate_inputs.shape[:2] if ids is None else ids.shape
        width = recurrent.shape[1]
        rows = torch.arange(steps * batch).view(steps, batch) if ids is None else ids.contiguous()
        gates = operand(steps, batch, 4 * width, products)
        hiddens = operand(steps + 1, batch, width, products)
        hiddens[0, :, :width] = hidden
        cells = recurrent.new_empty((steps + 1, batch, width))
        cells[0] = cell
        table = gate_inputs.detach().contiguous().view(-1, 4 * width)
        bias = (inner_bias + recurrent_bias).detach()
        matrix = recurrent.detach().contiguous()
        arrays = arrays_of(table, rows, bias, matrix, gates, cells, hiddens)
        threads = _threads_for(width)
        norm = scales = None
        if gain is not None:
            scales = cells.new_empty(threads, steps, batch, 2)
            norm = norm_of(gain.detach(), bias, scales)

        def work(rank: int, arrivals: Arrivals) -> None:
            sequence_forward.run(*barrier_arguments(rank, arrivals), *arrays, norm)

        _in_team(threads, work)
        ctx.save_for_backward(gates, hiddens, cells, matrix, ids, gain, bias, scales)
        ctx.input_type, ctx.symbols = table.dtype, len(table)
        ctx.set_materialize_grads(False)
        outputs = hiddens[1:, :, :width].float()
        return outputs, outputs[-1].clone(), cells[-1].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Returns the gradients of gate inputs, biases, gain, recurrent matrix, and state.

        Args:
            ctx: what `forward` kept.
            gradients: of outputs [T, B, H], last hidden state [B, H] and last cell state [B, H];
                None for zeros.
        """
        gates, hiddens, cells, matrix, ids, gain, bias, scales = ctx.saved_tensors
        steps, (batch, width) = len(gates), cells.shape[1:]
        d_outputs, last_hidden, last_cell = gradients
        if d_outputs is None:
            d_outputs = cells.new_zeros((steps, batch, width))
        d_outputs = d_outputs.contiguous()
        if last_hidden is not None:
            d_outputs = d_outputs.clone()
            d_outputs[-1] += last_hidden
        d_hidden = torch.empty_like(cells[0])
        d_cell = torch.zeros_like(cells[0]) if last_cell is None else last_cell.clone()
        no_inputs = cells.new_empty((steps, batch, 0))
        back = arrays_of(gates, cells, d_outputs, matrix, d_hidden, d_cell, no_inputs)
        # The rows of a table's gradient sum to the bias's. Without a table all rows count as one.
        rows = torch.zeros(steps, batch, dtype=torch.int64) if ids is None else ids.contiguous()
        d_table = cells.new_empty((1 if ids is None else ctx.symbols, 4 * width))
        d_matrix, operands = torch.empty_like(matrix), arrays_of(gates, hiddens, rows)
        transposed = empty_transposed(width, steps * batch, operands[0].dtype)
        results = transposed, *arrays_of(d_matrix, d_table)
        threads, norm = _threads_for(width), None
        if gain is not None:
            norm = norm_of(gain, bias, scales[:1].repeat(threads, 1, 1, 1))

        def work(rank: int, arrivals: Arrivals) -> None:
            barrier = barrier_arguments(rank, arrivals)
            sequence_backward.run(*barrier, *back, norm)
            # The gates' gradients have taken their place.
            weight_gradients.run(*barrier, *operands, *results)

        _in_team(threads, work)
        d_bias = d_table.sum(0) if norm is None else torch.from_numpy(norm.d_bias)
        return (
            gates[..., : 4 * width].to(ctx.input_type) if ids is None else d_table,
            None,
            d_bias,
            d_bias.clone(),  # a separate tensor, because gradients are changed in place
            None if norm is None else torch.from_numpy(norm.d_gain),
            d_matrix,
            d_hidden,
            d_cell,
            None,
        )


def prepare_compiled_layer(products: torch.dtype, *, normalised: bool = False) -> None:
    """Compiles the layer's kernels for this processor, or loads them from the disk.

    Args:
        products: type of the matrix products.
        normalised: whether gates are normalised.
    """
    ids, biases, matrix = torch.zeros(1, 1, dtype=torch.int64), torch.zeros(2, 4), torch.zeros(4, 1)
    state, gain = (torch.zeros(1, 1), torch.zeros(1, 1)), torch.ones(4) if normalised else None
    for table in (torch.zeros(1, 4), torch.zeros(1, 4, dtype=products)):
        table.requires_grad_()
        both = biases[0], biases[1]
        outputs, _ = compiled_layer(table, ids, both, gain, matrix, state, products)
        outputs.sum().backward()  # type: ignore[no-untyped-call]


def operand(steps: int, batch: int, width: int, dtype: torch.dtype) -> Tensor:
    """Returns an operand of products, [T, B, K padded]; the padding is zero, the rest is not set.

    Args:
        steps: T.
        batch: B.
        width: K.
        dtype: float32 or bfloat16.
    """
    depth = padded_depth(width, dtype.itemsize)
    room = torch.empty(steps, batch, depth, dtype=dtype)
    room[..., width:] = 0
    return room


def norm_of(gain: Tensor, bias: Tensor, scales: Tensor) -> Norm:
    """Returns what the kernels need for normalised gates.

    Args:
        gain: [4H].
        bias: [4H].
        scales: [ranks, T, B, 2], kept from the way forwards to that back.
    """
    batch, width = scales.shape[2], len(gain) // 4
    shared, d_gain, d_bias = gain.new_empty(batch, width), *gain.new_zeros(2, len(gain))
    weights, written = arrays_of(gain, bias), arrays_of(scales, shared, d_gain, d_bias)
    return Norm._make((*weights, np.float32(NORM_EPSILON), *written))


def _in_team(threads: int, work: Callable[[int, Arrivals], None]) -> None:
    """Runs the work on some threads."""
    if threads > getattr(_LOCAL, "most", 0):
        # Each calling thread has a separate team: two calls must not share barriers.
        _LOCAL.team, _LOCAL.most = Team(threads, lambda: prepare_thread(1)), threads
    _LOCAL.team.run(threads, work)


def _threads_for(width: int) -> int:
    """Returns how many threads share the units: at most those that PyTorch may use here."""
    return min(torch.get_num_threads(), max(1, width // MIN_UNITS_PER_THREAD))


def empty_transposed(columns: int, inner: int, number: np.dtype[Any]) -> Array:
    """Returns uninitialised memory for what `packing.transpose` writes; see there.

    Args:
        columns: N.
        inner: K.
        number: dtype of the products in NumPy.
    """
    words = columns * transposed_row_words(inner, number.itemsize)
    # PyTorch's memory begins with a cache line, and is used again; NumPy would map new pages.
    return torch.empty(words, dtype=torch.int32).numpy().view(np.uint32)


def arrays_of(*tensors: Tensor) -> tuple[Array, ...]:
    """Returns the memory of tensors as the kernels read it; bfloat16 as its bits, in uint16."""
    halves = torch.bfloat16
    return tuple((t.view(torch.uint16) if t.dtype is halves else t).numpy() for t in tensors)
