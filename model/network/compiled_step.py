"""A step of a one-layer network as one call of compiled code. PyTorch, `model.kernels.train_step`.

What depends only on the weights is computed once a step: the table of what each character adds to
the gates, and the matrices with dropped entries set to zero. The streams can then be shared out
among threads, each of which needs the interpreter for one call. Letters: T time, B batch, V
vocabulary, W = V rounded up to whole panels, H hidden, E embedding, E' padded as an operand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.kernels.packing import PANEL
from model.kernels.threads import ARRIVALS_WIDTH
from model.kernels.train_step import embed, embed_backward, train_step
from model.network.character_network import CharacterNetwork, State
from model.network.compiled_layer import arrays_of, empty_transposed, operand
from model.network.dropout import DropoutMasks

PADDING_LOGIT = -1e30
"""Bias of the rows that pad the head: their probability is zero."""


@dataclass(frozen=True)
class _Shape:
    """The sizes of the results of some streams."""

    steps: int
    """T."""
    batch: int
    """B."""
    width: int
    """H."""
    symbols: int
    """W."""
    rows: int
    """Rows of the table whose gradient is computed; 0 if none is."""


class _Workspace:
    """Memory for what some streams of a step compute.

    Allocating it for every step takes a small network a tenth of the step.
    """

    def __init__(self, shape: _Shape, products: torch.dtype) -> None:
        steps, batch, width = shape.steps, shape.batch, shape.width
        self.shape = shape
        self.arrivals = np.zeros((2, ARRIVALS_WIDTH), np.int64)
        """Of a single thread; see ``model.kernels.threads``."""
        self.loss = np.zeros(1)
        self.cells = torch.empty(steps + 1, batch, width)
        self.outputs = torch.empty(steps, batch, width)
        self.d_gates = operand(steps, batch, 4 * width, products)
        self.gradients: tuple[Tensor, ...] = (
            torch.empty(4 * width, width),
            torch.empty(shape.symbols, width),
            torch.empty(shape.symbols),
            torch.empty(shape.rows, 4 * width),
        )
        """Of recurrent matrix, head, its bias, and table."""
        hiddens = operand(steps + 1, batch, width, products)
        states = arrays_of(self.cells, hiddens, self.outputs)
        gates = torch.empty(steps, batch, 4 * width)
        d_outputs = torch.empty(steps, batch, -(-width // PANEL) * PANEL)
        transposed = empty_transposed(width, steps * batch, states[1].dtype)
        scratch = (*arrays_of(gates, d_outputs), transposed)
        results = arrays_of(self.d_gates, *self.gradients)
        self.arrays = (*scratch, *states, self.loss, *results)
        """The last arguments of `train_step`."""


class CompiledStep:
    """Computes the steps of an LSTM of one layer, where `possible_engines` offers it."""

    def __init__(self, network: CharacterNetwork, products: torch.dtype) -> None:
        """Compiles the kernels for this processor, or loads them from the disk.

        Args:
            network: the network.
            products: type of the matrix products, float32 or bfloat16.
        """
        self._weights = {name: value.detach() for name, value in network.named_parameters()}
        self._products = products
        self._context: StepContext | None = None
        _prepare(products)

    def begin(self, masks: DropoutMasks | None) -> StepContext:
        """Returns the context of a step with the current weights.

        Its results are overwritten by the next step, which uses the same memory.

        Args:
            masks: dropout masks of all streams; None for no dropout.
        """
        workspaces = [] if self._context is None else self._context.workspaces
        self._context = StepContext(self._weights, masks, self._products, workspaces)
        return self._context


class StepContext:
    """What all streams of one step share."""

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        masks: DropoutMasks | None,
        products: torch.dtype,
        workspaces: Iterable[_Workspace] = (),
    ) -> None:
        """Computes what depends only on the weights.

        Args:
            weights: by their names in the state dict, in the order of the gradients.
            masks: dropout masks of all streams; None for no dropout.
            products: type of the matrix products, float32 or bfloat16.
            workspaces: memory of the step before.
        """
        self.workspaces: list[_Workspace] = []
        """Memory that this step used; complete when it has ended."""
        self._free: defaultdict[_Shape, list[_Workspace]] = defaultdict(list)
        for workspace in workspaces:
            self._free[workspace.shape].append(workspace)
        self._weights, self._products = weights, products
        self._embedding = weights.get("embedding.weight")
        self._mask = None if masks is None else masks.recurrent[0]
        self._drops_inputs = masks is not None and masks.inputs is not None
        inner, recurrent = weights["lstm.weight_ih_l0"], weights["lstm.weight_hh_l0"]
        self._symbols, width = weights["head.weight"].shape
        padded = -(-self._symbols // PANEL) * PANEL
        head, head_bias = torch.zeros(padded, width), torch.full((padded,), PADDING_LOGIT)
        head[: self._symbols] = weights["head.weight"]
        head_bias[: self._symbols] = weights["head.bias"]
        bias = weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"]
        recurrent = recurrent if self._mask is None else recurrent * self._mask
        self._shared_weights = arrays_of(bias, recurrent, head, head_bias)
        self._table: Tensor | None = None
        if not self._drops_inputs:
            embedding = self._embedding
            self._table = inner.t().contiguous() if embedding is None else embedding @ inner.t()

    def of_streams(
        self,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        masks: DropoutMasks | None,
        total: int,
    ) -> tuple[Tensor, tuple[Tensor, ...], State]:
        """Runs some streams forwards and back; several threads may call it at once.

        Args:
            inputs: int64 [T, B].
            targets: int64 [T, B].
            state: carried in, of these streams.
            masks: dropout masks of these streams.
            total: scored characters of all streams.

        Returns:
            Their share of the mean loss, partial gradients for `gradients`, and the state after.
        """
        (steps, batch), width = inputs.shape, state[0].shape[2]
        inputs = inputs.contiguous()
        rows, table, x = inputs, self._table, None
        if table is None:
            assert masks is not None, "inputs are dropped"
            x, table = self._embedded(inputs, masks)
            rows = torch.arange(steps * batch).view(steps, batch)
        mask = None if masks is None else masks.outputs[0]
        mask = torch.empty(0, width) if mask is None else mask.contiguous()
        workspace = self._workspace(steps, batch)
        train_step.run(
            workspace.arrivals,
            *arrays_of(rows, targets.contiguous(), table),
            *self._shared_weights,
            *arrays_of(mask),
            np.float32(1 / total),
            *arrays_of(state[0][0].contiguous(), state[1][0].contiguous()),
            *workspace.arrays,
        )
        gradients = workspace.gradients
        if x is not None:
            assert masks is not None, "inputs are dropped"
            inner = self._embedding_gradients(workspace.d_gates, inputs, masks, x)
            gradients = (*gradients[:-1], *inner)
        after = workspace.outputs[-1:].clone(), workspace.cells[-1:].clone()
        return torch.tensor(workspace.loss[0], dtype=torch.float32), gradients, after

    def _workspace(self, steps: int, batch: int) -> _Workspace:
        """Returns memory for streams of this shape."""
        _, recurrent, head, _ = self._shared_weights
        shape = _Shape(
            steps=steps,
            batch=batch,
            width=recurrent.shape[1],
            symbols=len(head),
            rows=0 if self._table is None else len(self._table),
        )
        try:
            workspace = self._free[shape].pop()
        except IndexError:
            workspace = _Workspace(shape, self._products)
        self.workspaces.append(workspace)
        return workspace

    def gradients(self, partial: Sequence[Tensor]) -> list[Tensor]:
        """Returns the gradients of all parameters.

        Args:
            partial: partial gradients from `of_streams`, summed over all streams.
        """
        recurrent, head, head_bias, *inputs = partial
        by_name = {
            "lstm.weight_hh_l0": recurrent if self._mask is None else recurrent * self._mask,
            "head.weight": head[: self._symbols],
            "head.bias": head_bias[: self._symbols],
        }
        if self._drops_inputs:
            by_name["embedding.weight"], by_name["lstm.weight_ih_l0"], bias = inputs
        elif self._embedding is None:
            bias, by_name["lstm.weight_ih_l0"] = inputs[0], inputs[0].t().contiguous()
        else:
            bias, by_name["lstm.weight_ih_l0"] = inputs[0], inputs[0].t() @ self._embedding
            by_name["embedding.weight"] = inputs[0] @ self._weights["lstm.weight_ih_l0"]
        d_bias = bias.sum(0)
        by_name["lstm.bias_ih_l0"] = d_bias
        by_name["lstm.bias_hh_l0"] = d_bias.clone()  # both are changed in place
        return [by_name[name] for name in self._weights]

    def _embedded(self, inputs: Tensor, masks: DropoutMasks) -> tuple[Tensor, Tensor]:
        """Returns embedded characters [T, B, E'], and their part of the gates [TB, 4H or more]."""
        assert self._embedding is not None, "one-hot inputs have no dropout"
        assert masks.inputs is not None
        inner = self._weights["lstm.weight_ih_l0"]
        steps, batch = inputs.shape
        x = operand(steps, batch, inner.shape[1], self._products)
        gates = torch.empty(steps, batch, -(-len(inner) // PANEL) * PANEL)
        mask = masks.inputs.contiguous()
        embed.run(*arrays_of(self._embedding, inputs, mask, inner, x, gates))
        return x, gates.view(steps * batch, -1)

    def _embedding_gradients(
        self,
        d_gates: Tensor,
        inputs: Tensor,
        masks: DropoutMasks,
        x: Tensor,
    ) -> tuple[Tensor, ...]:
        """Returns the gradients of embedding, input matrix, and bias [1, 4H]."""
        assert self._embedding is not None
        assert masks.inputs is not None
        inner = self._weights["lstm.weight_ih_l0"]
        gradients = (
            torch.zeros_like(self._embedding),
            torch.empty_like(inner),
            torch.zeros(1, len(inner)),
        )
        mask = masks.inputs.contiguous()
        embed_backward.run(*arrays_of(d_gates, inputs, mask, inner, x, *gradients))
        return gradients


def _prepare(products: torch.dtype) -> None:
    """Compiles the kernels, or loads them from the disk, by two steps of one character."""
    shapes = {"embedding.weight": (1, 2), "lstm.weight_ih_l0": (8, 2), "lstm.weight_hh_l0": (8, 2)}
    shapes |= {"head.weight": (1, 2)}
    weights = {name: torch.zeros(shape) for name, shape in shapes.items()}
    for name, size in {"lstm.bias_ih_l0": 8, "lstm.bias_hh_l0": 8, "head.bias": 1}.items():
        weights[name] = torch.zeros(size)
    ids = torch.zeros(1, 1, dtype=torch.int64)
    state = torch.zeros(1, 1, 2), torch.zeros(1, 1, 2)
    dropped = DropoutMasks(inputs=torch.ones(1, 2), outputs=(None,), recurrent=(None,))
    for masks in (None, dropped):
        StepContext(weights, masks, products).of_streams(ids, ids, state, masks, 1)
