"""A step of a one-layer network as one call of compiled code. PyTorch, `model.kernels.train_step`.

What depends only on the weights is computed once a step: the table of what each character adds to
the gates, and the matrices with dropped entries set to zero. The streams can then be shared out
among threads, each of which needs the interpreter for one call. Letters: T time, B batch, V
vocabulary, W = V rounded up to whole panels, H hidden, E embedding, E' padded as an operand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.compute.batch_threads import BatchThreads
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
        cells = torch.empty(steps + 1, batch, width)
        hiddens = operand(steps + 1, batch, width, products)
        self.d_gates = operand(steps, batch, 4 * width, products)
        outputs, gates = hiddens[1:], self.d_gates
        if products is not torch.float32:
            outputs = torch.empty(steps, batch, width)
            gates = torch.empty(steps, batch, 4 * width)
        self.gradients: tuple[Tensor, ...] = (
            torch.empty(4 * width, width),
            torch.empty(shape.symbols, width),
            torch.empty(shape.symbols),
            torch.empty(shape.rows, 4 * width),
        )
        """Of recurrent matrix, head, its bias, and table."""
        states = arrays_of(cells, hiddens, outputs)
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
        weights = {name: value.detach() for name, value in network.named_parameters()}
        self._memory = _StepMemory(weights, products)
        _prepare(products)

    def compute(
        self,
        threads: BatchThreads,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        masks: DropoutMasks | None,
        *,
        total: int,
        gradients: Sequence[Tensor],
    ) -> tuple[Tensor, State]:
        """Computes a step with the current weights.

        Args:
            threads: share the streams.
            inputs: int64 [T, B], B > 0.
            targets: int64 [T, B].
            state: carried in: hidden and cell state, each [1, B, H].
            masks: dropout masks; None for no dropout.
            total: scored characters of all processes.
            gradients: of the parameters, in their order; written.

        Returns:
            The streams' share of the mean loss, and their state after the last character.
        """
        step = _Step(self._memory, inputs, targets, state, masks, total=total)
        results = threads.map(step.run_streams, inputs.shape[1])
        step.write_gradients([part for _, part in results], gradients)
        return torch.tensor(sum(loss for loss, _ in results), dtype=torch.float32), step.after


class _StepMemory:
    """Weights, and memory that every step uses again."""

    def __init__(self, weights: Mapping[str, Tensor], products: torch.dtype) -> None:
        """Allocates what depends only on the weights.

        Args:
            weights: by their names in the state dict, in the order of the gradients.
            products: type of the matrix products, float32 or bfloat16.
        """
        self.weights, self.products = weights, products
        symbols, width = weights["head.weight"].shape
        padded = -(-symbols // PANEL) * PANEL
        self.head = torch.zeros(padded, width)
        self.head_bias = torch.full((padded,), PADDING_LOGIT)
        self.used: list[_Workspace] = []
        """By the present step."""
        self._free: defaultdict[_Shape, list[_Workspace]] = defaultdict(list)

    def begin_step(self) -> None:
        """Frees what the step before used, and takes in the weights."""
        for workspace in self.used:
            self._free[workspace.shape].append(workspace)
        self.used = []
        symbols = len(self.weights["head.weight"])
        self.head[:symbols] = self.weights["head.weight"]
        self.head_bias[:symbols] = self.weights["head.bias"]

    def workspace(self, steps: int, batch: int, rows: int) -> _Workspace:
        """Returns memory for some streams; see `_Shape`."""
        symbols, width = self.head.shape
        shape = _Shape(steps=steps, batch=batch, width=width, symbols=symbols, rows=rows)
        try:
            workspace = self._free[shape].pop()
        except IndexError:
            workspace = _Workspace(shape, self.products)
        self.used.append(workspace)
        return workspace


class _Step:
    """What all streams of one step share."""

    def __init__(
        self,
        memory: _StepMemory,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        masks: DropoutMasks | None,
        *,
        total: int,
    ) -> None:
        """Computes what depends only on the weights; see `CompiledStep.compute`."""
        memory.begin_step()
        self._memory, self._weights = memory, memory.weights
        self._inputs = inputs.contiguous()
        self._masks = masks or DropoutMasks(outputs=(None,), recurrent=(None,))
        self._embedding = self._weights.get("embedding.weight")
        self._table: Tensor | None = None
        if self._masks.inputs is None:
            inner, embedding = self._weights["lstm.weight_ih_l0"], self._embedding
            self._table = inner.t().contiguous() if embedding is None else embedding @ inner.t()
        (recurrent_mask,), (mask,) = self._masks.recurrent, self._masks.outputs
        recurrent = self._weights["lstm.weight_hh_l0"]
        recurrent = recurrent if recurrent_mask is None else recurrent * recurrent_mask
        bias = self._weights["lstm.bias_ih_l0"] + self._weights["lstm.bias_hh_l0"]
        head, head_bias = memory.head, memory.head_bias
        mask = torch.empty(0, head.shape[1]) if mask is None else mask.contiguous()
        before = [part.contiguous() for part in state]
        self.after: State = tuple(torch.empty_like(part) for part in before)
        """State after the last character, complete when all streams have run."""
        self._shared = (
            *arrays_of(targets.contiguous(), bias, recurrent, head, head_bias, mask),
            np.float32(1 / total),
            *(array[0] for array in arrays_of(*before, *self.after)),
        )
        """Arguments of `train_step` after the table."""

    def run_streams(self, streams: slice) -> tuple[float, tuple[Tensor, ...]]:
        """Runs some streams forwards and back; several threads may call it at once.

        Returns:
            Their share of the mean loss, and their part of the gradients, for `write_gradients`.
        """
        steps, batch = len(self._inputs), streams.stop - streams.start
        rows, table, x = self._inputs, self._table, None
        if table is None:
            x, table = self._embedded(streams)
            rows = torch.zeros_like(self._inputs)
            rows[:, streams] = torch.arange(steps * batch).view(steps, batch)
        workspace = self._memory.workspace(steps, batch, 0 if x is not None else len(table))
        train_step.run(
            workspace.arrivals,
            streams.start,
            *arrays_of(rows, table),
            *self._shared,
            *workspace.arrays,
        )
        gradients = workspace.gradients
        if x is not None:
            gradients = (*gradients[:-1], *self._embedding_gradients(workspace, streams, x))
        return float(workspace.loss[0]), gradients

    def write_gradients(self, parts: Sequence[Sequence[Tensor]], out: Sequence[Tensor]) -> None:
        """Writes the gradients of all parameters.

        Args:
            parts: partial ones, from `run_streams`.
            out: gradients in the order of the weights; written.
        """
        by_name = dict(zip(self._weights, out, strict=True))
        symbols = len(self._weights["head.bias"])
        recurrent, head, head_bias, *inputs = zip(*parts, strict=True)
        _add(recurrent, by_name["lstm.weight_hh_l0"])
        (mask,) = self._masks.recurrent
        if mask is not None:
            by_name["lstm.weight_hh_l0"].mul_(mask)
        _add([part[:symbols] for part in head], by_name["head.weight"])
        _add([part[:symbols] for part in head_bias], by_name["head.bias"])
        inner, bias = by_name["lstm.weight_ih_l0"], by_name["lstm.bias_ih_l0"]
        if self._table is None:
            embedding, inner_parts, bias_parts = inputs
            _add(embedding, by_name["embedding.weight"])
            _add(inner_parts, inner)
            _add([part[0] for part in bias_parts], bias)
        else:
            (table,) = inputs
            d_table = sum(table[1:], table[0])
            torch.sum(d_table, 0, out=bias)
            if self._embedding is None:
                inner.copy_(d_table.t())
            else:
                matrix = self._weights["lstm.weight_ih_l0"]
                torch.mm(d_table.t(), self._embedding, out=inner)
                torch.mm(d_table, matrix, out=by_name["embedding.weight"])
        by_name["lstm.bias_hh_l0"].copy_(bias)

    def _embedded(self, streams: slice) -> tuple[Tensor, Tensor]:
        """Returns embedded characters [T, B, E'], and their part of the gates [TB, 4H or more]."""
        assert self._embedding is not None, "one-hot inputs have no dropout"
        assert self._masks.inputs is not None
        inner, inputs = self._weights["lstm.weight_ih_l0"], self._inputs[:, streams].contiguous()
        steps, batch = inputs.shape
        x = operand(steps, batch, inner.shape[1], self._memory.products)
        gates = torch.empty(steps, batch, -(-len(inner) // PANEL) * PANEL)
        mask = self._masks.inputs[streams].contiguous()
        embed.run(*arrays_of(self._embedding, inputs, mask, inner, x, gates))
        return x, gates.view(steps * batch, -1)

    def _embedding_gradients(
        self, workspace: _Workspace, streams: slice, x: Tensor
    ) -> tuple[Tensor, ...]:
        """Returns the gradients of embedding, input matrix, and bias [1, 4H]."""
        assert self._embedding is not None
        assert self._masks.inputs is not None
        inner, inputs = self._weights["lstm.weight_ih_l0"], self._inputs[:, streams].contiguous()
        gradients = (
            torch.zeros_like(self._embedding),
            torch.empty_like(inner),
            torch.zeros(1, len(inner)),
        )
        mask = self._masks.inputs[streams].contiguous()
        embed_backward.run(*arrays_of(workspace.d_gates, inputs, mask, inner, x, *gradients))
        return gradients


def _add(parts: Sequence[Tensor], out: Tensor) -> None:
    """Writes a sum of tensors."""
    first, *others = parts
    if not others:
        out.copy_(first)
        return
    torch.add(first, others[0], out=out)
    for other in others[1:]:
        out.add_(other)


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
    memory = _StepMemory(weights, products)
    for masks in (None, dropped):
        _Step(memory, ids, ids, state, masks, total=1).run_streams(slice(0, 1))
