"""A step of a one-layer network as one call of compiled code. PyTorch, `model.kernels.train_step`.

What depends on the weights alone is made once a step: the table of what each character adds to the
gates, and the matrices without what is dropped. The streams can then be shared out among threads,
each of which needs the interpreter for a call. Letters: T time, B batch, V vocabulary, W the same
rounded up to whole panels, H hidden, E embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.kernels.lstm_cell import sum_rows
from model.kernels.packing import PANEL, packed_size
from model.kernels.threads import ARRIVALS_WIDTH
from model.kernels.train_step import embed, embed_backward, train_step
from model.network.character_network import CharacterNetwork, State
from model.network.dropout import DropoutMasks

IMPOSSIBLE = -1e30
"""Logit of a symbol that is not there."""
_ONE_PART = np.zeros((2, ARRIVALS_WIDTH), np.int64)
"""The clocks of a team of one."""


class CompiledStep:
    """Computes the steps of an LSTM of one layer, where `possible_engines` offers it."""

    def __init__(self, network: CharacterNetwork) -> None:
        """Compiles what it needs for this processor, or finds it on the disk."""
        self._weights = {name: value.detach() for name, value in network.named_parameters()}
        _prepare()

    def begin(self, masks: DropoutMasks | None) -> BegunStep:
        """Begins a step with the weights as they are.

        Args:
            masks: what is dropped, of all streams.
        """
        return BegunStep(self._weights, masks)


class BegunStep:
    """One step: what all of its streams share."""

    def __init__(self, weights: Mapping[str, Tensor], masks: DropoutMasks | None) -> None:
        """Prepares what depends on the weights alone.

        Args:
            weights: under the names of the state dict; in the order that gradients are wanted in.
            masks: what is dropped, of all streams.
        """
        self._weights = weights
        self._embedding = weights.get("embedding.weight")
        self._mask = None if masks is None else masks.recurrent[0]
        self._drops_inputs = masks is not None and masks.inputs is not None
        inner, recurrent = weights["lstm.weight_ih_l0"], weights["lstm.weight_hh_l0"]
        self._symbols, width = weights["head.weight"].shape
        padded = -(-self._symbols // PANEL) * PANEL
        head, head_bias = torch.zeros(padded, width), torch.full((padded,), IMPOSSIBLE)
        head[: self._symbols] = weights["head.weight"]
        head_bias[: self._symbols] = weights["head.bias"]
        bias = weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"]
        recurrent = recurrent if self._mask is None else recurrent * self._mask
        self._given = (bias, recurrent, head, head_bias)
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
        """Returns the share of the mean loss, what gradients are made of, and the state after.

        Several threads may call it at once.

        Args:
            inputs: int64 [T, B], some streams.
            targets: int64 [T, B].
            state: carried in, of these streams.
            masks: what is dropped, of these streams.
            total: scored characters of all streams.
        """
        (steps, batch), width = inputs.shape, state[0].shape[2]
        inputs, gates = inputs.contiguous(), 4 * width
        rows, table, x = inputs, self._table, None
        if table is None:
            assert masks is not None, "what is dropped is known"
            x, table = self._embedded(inputs, masks)
            rows = torch.arange(steps * batch).view(steps, batch)
        mask = None if masks is None else masks.outputs[0]
        mask = torch.empty(0, width) if mask is None else mask.contiguous()
        cells, outputs = torch.empty(steps + 1, batch, width), torch.empty(steps, batch, width)
        hiddens = torch.empty(steps + 1, batch, width, dtype=torch.bfloat16)
        hiddens[0], cells[0] = state[0][0], state[1][0]
        d_gates = torch.empty(steps, batch, gates, dtype=torch.bfloat16)
        size = packed_size(gates, steps * batch)
        sides = torch.empty(size, dtype=torch.int32).numpy().view(np.uint32)
        loss = np.zeros(1)
        _, recurrent, head, head_bias = self._given
        found = (torch.empty_like(recurrent), torch.empty_like(head), torch.zeros_like(head_bias))
        train_step.run(
            _ONE_PART.copy(),
            *_arrays(rows, targets.contiguous(), table, *self._given, mask),
            *_arrays(cells, hiddens, outputs),
            np.float32(1 / total),
            loss,
            *_arrays(d_gates),
            sides,
            *_arrays(*found),
        )
        if x is None:
            sums = torch.zeros_like(table)
            sum_rows.run(*_arrays(d_gates.view(-1, gates), rows.view(-1), sums))
            below: tuple[Tensor, ...] = (sums,)
        else:
            assert masks is not None, "what was dropped is known"
            below = self._below(d_gates, sides, inputs, masks, x)
        after = outputs[-1:].clone(), cells[-1:].clone()
        return torch.tensor(loss[0], dtype=torch.float32), (*found, *below), after

    def gradients(self, found: Sequence[Tensor]) -> list[Tensor]:
        """Returns the gradients of all parameters.

        Args:
            found: what `of_streams` returned, added up over all streams.
        """
        recurrent, head, head_bias, *below = found
        by_name = {
            "lstm.weight_hh_l0": recurrent if self._mask is None else recurrent * self._mask,
            "head.weight": head[: self._symbols],
            "head.bias": head_bias[: self._symbols],
        }
        if self._drops_inputs:
            by_name["embedding.weight"], by_name["lstm.weight_ih_l0"], bias = below
        elif self._embedding is None:
            bias, by_name["lstm.weight_ih_l0"] = below[0], below[0].t().contiguous()
        else:
            bias, by_name["lstm.weight_ih_l0"] = below[0], below[0].t() @ self._embedding
            by_name["embedding.weight"] = below[0] @ self._weights["lstm.weight_ih_l0"]
        by_name["lstm.bias_ih_l0"] = bias.sum(0)
        by_name["lstm.bias_hh_l0"] = bias.sum(0)  # what is done in place must be done once to each
        return [by_name[name] for name in self._weights]

    def _embedded(self, inputs: Tensor, masks: DropoutMasks) -> tuple[Tensor, Tensor]:
        """Returns embedded characters [T, B, E], and what they add to the gates, [TB, 4H]."""
        assert self._embedding is not None, "one-hot vectors are not dropped here"
        assert masks.inputs is not None
        inner = self._weights["lstm.weight_ih_l0"]
        x = torch.empty(*inputs.shape, inner.shape[1], dtype=torch.bfloat16)
        gates = torch.empty(*inputs.shape, len(inner))
        mask = masks.inputs.contiguous()
        embed.run(*_arrays(self._embedding, inputs, mask, inner, x, gates))
        return x, gates.view(-1, len(inner))

    def _below(
        self,
        d_gates: Tensor,
        sides: npt.NDArray[np.uint32],
        inputs: Tensor,
        masks: DropoutMasks,
        x: Tensor,
    ) -> tuple[Tensor, ...]:
        """Returns the gradients of embedding, matrix of the inputs, and bias [1, 4H]."""
        assert self._embedding is not None
        assert masks.inputs is not None
        inner = self._weights["lstm.weight_ih_l0"]
        found = (
            torch.zeros_like(self._embedding),
            torch.empty_like(inner),
            torch.zeros(1, len(inner)),
        )
        mask = masks.inputs.contiguous()
        given = _arrays(inputs, mask, inner, x)
        embed_backward.run(*_arrays(d_gates), sides, *given, *_arrays(*found))
        return found


def _arrays(*tensors: Tensor) -> tuple[npt.NDArray[Any], ...]:
    """Returns the numbers of tensors, in place; bfloat16 as its bits."""
    halves = torch.bfloat16
    return tuple((t.view(torch.uint16) if t.dtype is halves else t).numpy() for t in tensors)


def _prepare() -> None:
    """Compiles the step, or finds it on the disk: two steps of one character."""
    shapes = {"embedding.weight": (1, 2), "lstm.weight_ih_l0": (8, 2), "lstm.weight_hh_l0": (8, 2)}
    shapes |= {"head.weight": (1, 2)}
    weights = {name: torch.zeros(shape) for name, shape in shapes.items()}
    for name, size in {"lstm.bias_ih_l0": 8, "lstm.bias_hh_l0": 8, "head.bias": 1}.items():
        weights[name] = torch.zeros(size)
    ids = torch.zeros(1, 1, dtype=torch.int64)
    state = torch.zeros(1, 1, 2), torch.zeros(1, 1, 2)
    dropped = DropoutMasks(inputs=torch.ones(1, 2), outputs=(None,), recurrent=(None,))
    for masks in (None, dropped):
        BegunStep(weights, masks).of_streams(ids, ids, state, masks, 1)
