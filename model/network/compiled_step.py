"""A step of a one-layer network as one call of compiled code. PyTorch, `model.kernels.train_step`.

What depends only on the weights is computed once a step: the table of what each character adds to
the gates, and the matrices with dropped entries set to zero. The streams can then be shared out
among threads, each of which needs the interpreter for one call. If embedded characters are dropped,
there is no table, and the products of the layer include the embedding. Letters: T time, B batch,
V vocabulary, W = V rounded up to whole panels, H hidden, E embedding (0 with a table), K = H + E.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from model.compute.batch_threads import BatchThreads
from model.kernels.packing import PANEL, round_up
from model.kernels.threads import ARRIVALS_WIDTH
from model.kernels.train_step import train_step
from model.network.character_network import CharacterNetwork, State
from model.network.compiled_layer import arrays_of, empty_transposed, norm_of, operand
from model.network.dropout import DropoutMasks

PADDING_LOGIT = -1e30
"""Bias of the rows that pad the head: their probability is zero."""


_Shape = tuple[int, int, int, int, int, int, int]
"""Sizes of the results of some streams: T, B, H, W, the rows of the table (V or 1), V and E."""


class _Workspace:
    """Memory for what some streams of a step compute.

    Allocating it for every step takes a small network a tenth of the step.
    """

    def __init__(self, shape: _Shape, products: torch.dtype) -> None:
        steps, batch, width, symbols, rows, *embedding = self.shape = shape
        self.arrivals = np.zeros((2, ARRIVALS_WIDTH), np.int64)
        """Of a single thread; see ``model.kernels.threads``."""
        self.loss = np.zeros(1)
        inner = width + embedding[1]
        cells = torch.empty(steps + 1, batch, width)
        hiddens = operand(steps + 1, batch, inner, products)
        gates = operand(steps, batch, 4 * width, products)
        self.gradients: tuple[Tensor, ...] = (
            torch.empty(4 * width, inner),
            torch.empty(symbols, width),
            torch.empty(symbols),
            torch.empty(rows, 4 * width),
            torch.empty(embedding),
        )
        """Of recurrent and input matrix, head, its bias, table, and embedding."""
        self.scales = torch.empty(1, steps, batch, 2)
        """Of normalised gates; see `model.kernels.cell_step.Norm`."""
        states = arrays_of(cells, hiddens, gates)
        d_outputs = torch.empty(steps, batch, round_up(width, PANEL))
        transposed = empty_transposed(inner, steps * batch, states[1].dtype)
        self.scratch = (*arrays_of(d_outputs), transposed, *states)
        self.results = (self.loss, *arrays_of(*self.gradients))
        """The last arguments of `train_step`, with what normalised gates need between them."""


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
        _prepare(products, normalised="lstm.gain_l0" in weights)

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
            targets: int64 [T, B], or float32 [T, B, V], see `GradientWorkers.compute`.
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
        padded = round_up(symbols, PANEL)
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

    def workspace(self, steps: int, batch: int, table: Tensor, embedding: Tensor) -> _Workspace:
        """Returns memory for some streams; see `_Shape`."""
        symbols, width = self.head.shape
        shape = steps, batch, width, symbols, len(table), *embedding.shape
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
        self._shape = inputs.shape
        masks = masks or DropoutMasks(outputs=(None,), recurrent=(None,))
        (self._recurrent_mask,), (mask,) = masks.recurrent, masks.outputs
        embedding, inner = self._weights.get("embedding.weight"), self._weights["lstm.weight_ih_l0"]
        matrix = self._weights["lstm.weight_hh_l0"]
        if self._recurrent_mask is not None:
            matrix = matrix * self._recurrent_mask
        if masks.inputs is None:
            self._table = inner.t().contiguous() if embedding is None else embedding @ inner.t()
            self._embedding = inner.new_empty(len(self._table), 0)
            input_mask = inner.new_empty(inputs.shape[1], 0)
        else:
            assert embedding is not None, "one-hot inputs have no dropout"
            self._table, self._embedding = inner.new_zeros(1, len(inner)), embedding
            input_mask = masks.inputs.contiguous()
            matrix = torch.cat([matrix, inner], dim=1)
        self._bias = self._weights["lstm.bias_ih_l0"] + self._weights["lstm.bias_hh_l0"]
        head, head_bias = memory.head, memory.head_bias
        mask = torch.empty(0, head.shape[1]) if mask is None else mask.contiguous()
        before = [part.contiguous() for part in state]
        self.after: State = tuple(torch.empty_like(part) for part in before)
        """State after the last character, complete when all streams have run."""
        hard, soft = targets, torch.empty(*inputs.shape, 0)
        if targets.is_floating_point():
            hard, soft = torch.zeros_like(inputs), targets
        self._shared = (
            *arrays_of(inputs.contiguous(), hard.contiguous(), soft.contiguous()),
            *arrays_of(self._table, self._embedding, input_mask),
            *arrays_of(self._bias, matrix, head, head_bias, mask),
            np.float32(1 / total),
            *(array[0] for array in arrays_of(*before, *self.after)),
        )
        """Arguments of `train_step` from the characters to the states."""

    def run_streams(self, streams: slice) -> tuple[float, tuple[Tensor, ...]]:
        """Runs some streams forwards and back; several threads may call it at once.

        Returns:
            Their share of the mean loss, and their part of the gradients, for `write_gradients`.
        """
        batch = streams.stop - streams.start
        workspace = self._memory.workspace(self._shape[0], batch, self._table, self._embedding)
        gain, norm, gradients = self._weights.get("lstm.gain_l0"), None, workspace.gradients
        if gain is not None:
            norm = norm_of(gain.view(-1), self._bias, workspace.scales)
            gradients = (*gradients, torch.from_numpy(norm.d_gain), torch.from_numpy(norm.d_bias))
        train_step.run(
            workspace.arrivals, streams.start, *self._shared, *workspace.scratch, norm,
            *workspace.results,
        )  # fmt: skip
        return float(workspace.loss[0]), gradients

    def write_gradients(self, parts: Sequence[Sequence[Tensor]], out: Sequence[Tensor]) -> None:
        """Writes the gradients of all parameters.

        Args:
            parts: partial ones, from `run_streams`.
            out: gradients in the order of the weights; written.
        """
        by_name = dict(zip(self._weights, out, strict=True))
        symbols = len(self._weights["head.bias"])
        matrix, head, head_bias, table, embedding, *norm = zip(*parts, strict=True)
        recurrent, inner = by_name["lstm.weight_hh_l0"], by_name["lstm.weight_ih_l0"]
        width = recurrent.shape[1]
        _add([part[:, :width] for part in matrix], recurrent)
        if self._recurrent_mask is not None:
            recurrent.mul_(self._recurrent_mask)
        _add([part[:symbols] for part in head], by_name["head.weight"])
        _add([part[:symbols] for part in head_bias], by_name["head.bias"])
        d_table, bias = sum(table[1:], table[0]), by_name["lstm.bias_ih_l0"]
        if norm:
            _add(norm[0], by_name["lstm.gain_l0"].view(-1))
            _add(norm[1], bias)
        else:
            torch.sum(d_table, 0, out=bias)
        by_name["lstm.bias_hh_l0"].copy_(bias)
        if self._embedding.shape[1]:
            _add([part[:, width:] for part in matrix], inner)
            _add(embedding, by_name["embedding.weight"])
        elif "embedding.weight" in by_name:
            weights = self._weights
            torch.mm(d_table.t(), weights["embedding.weight"], out=inner)
            torch.mm(d_table, weights["lstm.weight_ih_l0"], out=by_name["embedding.weight"])
        else:
            inner.copy_(d_table.t())


def _add(parts: Sequence[Tensor], out: Tensor) -> None:
    """Writes a sum of tensors."""
    first, *others = parts
    if not others:
        out.copy_(first)
        return
    torch.add(first, others[0], out=out)
    for other in others[1:]:
        out.add_(other)


def _prepare(products: torch.dtype, *, normalised: bool) -> None:
    """Compiles the kernels, or loads them from the disk, by two steps of one character."""
    shapes = {"embedding.weight": (1, 2), "lstm.weight_ih_l0": (8, 2), "lstm.weight_hh_l0": (8, 2)}
    shapes |= {"head.weight": (1, 2)}
    weights = {name: torch.zeros(shape) for name, shape in shapes.items()}
    for name, size in {"lstm.bias_ih_l0": 8, "lstm.bias_hh_l0": 8, "head.bias": 1}.items():
        weights[name] = torch.zeros(size)
    if normalised:
        weights["lstm.gain_l0"] = torch.ones(4, 2)
    ids = torch.zeros(1, 1, dtype=torch.int64)
    state = torch.zeros(1, 1, 2), torch.zeros(1, 1, 2)
    dropped = DropoutMasks(inputs=torch.ones(1, 2), outputs=(None,), recurrent=(None,))
    memory = _StepMemory(weights, products)
    for masks in (None, dropped):
        _Step(memory, ids, ids, state, masks, total=1).run_streams(slice(0, 1))
