"""A step of a one-layer network as one call of compiled code a thread. PyTorch, Numba.

What depends only on the weights is computed once a step: the table of what each character adds to
the gates, and the matrices with dropped entries set to zero. The streams are divided into shards,
one for each thread, which needs the interpreter for one call (`model.kernels.train_step`). If
embedded characters are dropped, there is no table, and the products of the layer include the
embedding. Letters: T time, B batch, V vocabulary, W = V rounded up to whole panels, H hidden,
E embedding (0 with a table), K = H + E.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from model.compute.batch_threads import ONE_THREAD, BatchThreads
from model.compute.team import Arrivals
from model.kernels.cell_step import Norm
from model.kernels.dtypes import Array
from model.kernels.packing import PANEL, round_up
from model.kernels.threads import barrier_arguments, rank_range
from model.kernels.train_step import Operands, Results, Scratch, train_step
from model.network.character_network import CharacterNetwork, State
from model.network.compiled_layer import arrays_of, empty_transposed, norm_of, operand
from model.network.dropout import DropoutMasks

PADDING_LOGIT = -1e30
"""Bias of the rows that pad the head: their probability is zero."""


class _Workspace:
    """Memory for what the shards of a step compute.

    Allocating it for every step takes a small network a tenth of the step.
    """

    def __init__(self, shards: int, operands: Operands, products: torch.dtype) -> None:
        """Allocates memory for a number of shards, and for operands of these shapes."""
        (steps, streams), (symbols, width) = operands.ids.shape, operands.head.shape
        inner, most = operands.matrix.shape[1], -(-streams // shards)
        tables = operands.input_gates.shape, operands.embedding.shape
        shapes = (4 * width, inner), (symbols, width), (symbols,), *tables
        gradients = [torch.empty(shards, *shape) for shape in shapes]
        states = arrays_of(
            torch.empty(shards, (steps + 1) * most, width),
            operand(shards, (steps + 1) * most, inner, products),
            operand(shards, steps * most, 4 * width, products),
        )
        transposed = empty_transposed(shards * inner, steps * most, states[1].dtype)
        d_outputs = torch.empty(shards, steps * most, round_up(width, PANEL)).numpy()
        rows = np.empty((shards, steps * most), np.int64)
        self.scratch = Scratch(rows, d_outputs, transposed.reshape(shards, -1), *states)
        self.results = Results(np.zeros(shards), *arrays_of(*gradients))


class CompiledStep:
    """Computes the steps of an LSTM of one layer, where `possible_engines` offers it."""

    def __init__(
        self, network: CharacterNetwork, gradients: Sequence[Tensor], products: torch.dtype
    ) -> None:
        """Compiles the kernel for this processor, or loads it from the disk.

        Args:
            network: the network.
            gradients: of its parameters, in their order; every step writes them.
            products: type of the matrix products, float32 or bfloat16.
        """
        self._weights = {name: value.detach() for name, value in network.named_parameters()}
        self._gradients = dict(zip(self._weights, arrays_of(*gradients), strict=True))
        self._products = products
        symbols, width = self._weights["head.weight"].shape
        padded = round_up(symbols, PANEL)
        self._head = torch.zeros(padded, width)
        self._head_bias = torch.full((padded,), PADDING_LOGIT)
        self._workspaces: dict[tuple[int, ...], _Workspace] = {}
        ids, state = torch.zeros(1, 1, dtype=torch.int64), torch.zeros(2, 1, 1, width)
        self.compute(ONE_THREAD, ids, ids, tuple(state), None, total=1)
        self._workspaces.clear()

    def compute(
        self,
        threads: BatchThreads,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        masks: DropoutMasks | None,
        *,
        total: int,
    ) -> tuple[Tensor, State]:
        """Computes a step with the current weights, and writes the gradients.

        Args:
            threads: share the streams.
            inputs: int64 [T, B], B > 0.
            targets: int64 [T, B], or float32 [T, B, V], see `GradientWorkers.compute`.
            state: carried in: hidden and cell state, each [1, B, H].
            masks: dropout masks; None for no dropout.
            total: scored characters of all processes.

        Returns:
            The streams' share of the mean loss, and their state after the last character.
        """
        masks = masks or DropoutMasks(outputs=(None,), recurrent=(None,))
        after: State = tuple(torch.empty(part.shape) for part in state)
        hard, soft = targets, torch.empty(*inputs.shape, 0)
        if targets.is_floating_point():
            hard, soft = torch.zeros_like(inputs), targets
        weights = *self._layer_operands(inputs.shape[1], masks), *self._head_operands(masks)
        read = arrays_of(*(each.contiguous() for each in (inputs, hard, soft, *weights, *state)))
        states = (array[0] for array in (*read[-2:], *arrays_of(*after)))
        operands = Operands._make((*read[:-2], np.float32(1 / total), *states))
        shards = min(threads.count, inputs.shape[1])
        room = self._workspace(shards, operands)
        norms: list[Norm | None] = [None] * shards

        def run_shard(shard: int, arrivals: Arrivals) -> None:
            norms[shard] = norm = self._norm(operands, shard, shards)
            first = (*barrier_arguments(shard, arrivals), operands, room.scratch)
            train_step.run(*first, norm, room.results)

        threads.run(shards, run_shard)
        self._write_gradients(room.results, masks, norms)
        return torch.tensor(room.results.loss.sum(), dtype=torch.float32), after

    def _layer_operands(self, streams: int, masks: DropoutMasks) -> tuple[Tensor, ...]:
        """Returns table, embedding, its dropout factors, bias and matrix; see `Operands`."""
        weights, (mask,) = self._weights, masks.recurrent
        embedding, inner = weights.get("embedding.weight"), weights["lstm.weight_ih_l0"]
        matrix = weights["lstm.weight_hh_l0"]
        if mask is not None:
            matrix = matrix * mask
        bias = weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"]
        if masks.inputs is None:
            table = inner.t() if embedding is None else embedding @ inner.t()
            return table, table.new_empty(len(table), 0), table.new_empty(streams, 0), bias, matrix
        assert embedding is not None, "one-hot inputs have no dropout"
        table = inner.new_zeros(1, len(inner))
        return table, embedding, masks.inputs, bias, torch.cat([matrix, inner], dim=1)

    def _head_operands(self, masks: DropoutMasks) -> tuple[Tensor, ...]:
        """Returns the padded head, its bias, and the dropout factors of what it reads."""
        symbols, (mask,) = len(self._weights["head.weight"]), masks.outputs
        self._head[:symbols] = self._weights["head.weight"]
        self._head_bias[:symbols] = self._weights["head.bias"]
        no_mask = self._head[:0]
        return self._head, self._head_bias, no_mask if mask is None else mask

    def _workspace(self, shards: int, operands: Operands) -> _Workspace:
        """Returns memory for a step."""
        shape = shards, *operands.ids.shape, *operands.matrix.shape
        if shape not in self._workspaces:
            self._workspaces[shape] = _Workspace(shards, operands, self._products)
        return self._workspaces[shape]

    def _norm(self, operands: Operands, shard: int, shards: int) -> Norm | None:
        """Returns what normalised gates need in a shard."""
        gain, (steps, streams) = self._weights.get("lstm.gain_l0"), operands.ids.shape
        if gain is None:
            return None
        first, last = rank_range(streams, shard, shards)
        scales = gain.new_empty(1, steps, last - first, 2)
        return norm_of(gain.view(-1), torch.from_numpy(operands.bias), scales)

    def _write_gradients(
        self, found: Results, masks: DropoutMasks, norms: Iterable[Norm | None]
    ) -> None:
        """Adds up what the shards have found."""
        weights, arrays = self._weights, self._gradients
        symbols = len(arrays["head.bias"])
        recurrent, bias = arrays["lstm.weight_hh_l0"], arrays["lstm.bias_ih_l0"]
        inner, width = arrays["lstm.weight_ih_l0"], recurrent.shape[1]
        _add(found.d_matrix[..., :width], recurrent)
        for mask in masks.recurrent:
            if mask is not None:
                recurrent *= mask.numpy()
        _add(found.d_head[:, :symbols], arrays["head.weight"])
        _add(found.d_head_bias[:, :symbols], arrays["head.bias"])
        d_table, *others = found.d_input_gates
        _add((d_table, *others), d_table)
        if "lstm.gain_l0" in arrays:
            _add((norm.d_gain for norm in norms if norm), arrays["lstm.gain_l0"].reshape(-1))
            _add((norm.d_bias for norm in norms if norm), bias)
        else:
            d_table.sum(axis=0, out=bias)
        arrays["lstm.bias_hh_l0"][:] = bias
        if masks.inputs is not None:
            _add(found.d_matrix[..., width:], inner)
            _add(found.d_embedding, arrays["embedding.weight"])
        elif "embedding.weight" in arrays:
            d_gates, d_inner, d_embedding = map(
                torch.from_numpy, (d_table, inner, arrays["embedding.weight"])
            )
            torch.mm(d_gates.t(), weights["embedding.weight"], out=d_inner)
            torch.mm(d_gates, weights["lstm.weight_ih_l0"], out=d_embedding)
        else:
            inner[:] = d_table.T


def _add(parts: Iterable[Array], out: Array) -> None:
    """Writes a sum of arrays; a call of PyTorch would take longer than the sum."""
    first, *others = parts
    np.copyto(out, first)
    for other in others:
        out += other
