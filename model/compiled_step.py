"""A step of a one-layer network as one call of compiled code. PyTorch around `model.step_kernel`.

What depends on the weights alone is made once a step: the table of what each character adds to the
gates, and the matrices without what is dropped. The streams can then be shared out among threads,
each of which needs the interpreter for a call. Letters: T time, B batch, V vocabulary, W the same
rounded up to whole vectors, H hidden, E embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.dropout import DropoutMasks
from model.lstm_layer import State
from model.network import CharacterLSTM
from model.pair_product import LANES
from model.step_kernel import whole_step

IMPOSSIBLE = -1e30
"""Logit of a symbol that is not there."""
_ONE_PART = np.zeros((2, 8), np.int64)
_OUR_PRODUCT = np.zeros(2, np.int64)


class CompiledStep:
    """Computes steps of a network that ``model.machine`` offers it for."""

    def __init__(self, network: CharacterLSTM) -> None:
        """Compiles what it needs for this processor, or finds it on the disk."""
        self._weights = {name: value.detach() for name, value in network.named_parameters()}
        _prepare()

    def begin(self, masks: DropoutMasks | None) -> BegunStep:
        """Begins a step with the weights as they are.

        Args:
            masks: what is dropped, of all streams.
        """
        return BegunStep(self._weights, None if masks is None else masks.recurrent[0])


class BegunStep:
    """One step: what all of its streams share."""

    def __init__(
        self, weights: Mapping[str, Tensor], mask: Tensor | None, *, compiles: bool = False
    ) -> None:
        """Prepares what depends on the weights alone.

        Args:
            weights: under the names of the state dict; in the order that gradients are wanted in.
            mask: factors of the recurrent matrix, [4H, H].
            compiles: whether the step is to compile what it calls, where that is not done yet.
        """
        self._call = whole_step.prepare if compiles else whole_step.run
        self._weights, self._mask = weights, mask
        self._embedding = weights.get("embedding.weight")
        inner, recurrent = weights["lstm.weight_ih_l0"], weights["lstm.weight_hh_l0"]
        table = inner.t().contiguous() if self._embedding is None else self._embedding @ inner.t()
        self._symbols, width = weights["head.weight"].shape
        padded = -(-self._symbols // LANES) * LANES
        head, head_bias = torch.zeros(padded, width), torch.full((padded,), IMPOSSIBLE)
        head[: self._symbols] = weights["head.weight"]
        head_bias[: self._symbols] = weights["head.bias"]
        bias = weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"]
        recurrent = recurrent if mask is None else recurrent * mask
        self._given = (table, bias, recurrent, head, head_bias)

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
        mask = None if masks is None else masks.outputs[0]
        mask = torch.empty(0, width) if mask is None else mask.contiguous()
        cells, outputs = torch.empty(steps + 1, batch, width), torch.empty(steps, batch, width)
        hiddens = torch.empty(steps + 1, batch, width, dtype=torch.bfloat16)
        hiddens[0], cells[0] = state[0][0], state[1][0]
        loss = np.zeros(1)
        table, _, recurrent, head, head_bias = self._given
        zeros, empty = torch.zeros_like, torch.empty_like
        found = (zeros(table), empty(recurrent), empty(head), zeros(head_bias))
        self._call(
            _ONE_PART.copy(),
            _OUR_PRODUCT,
            *_arrays(inputs.contiguous(), targets.contiguous(), *self._given, mask),
            *_arrays(cells, hiddens.view(torch.uint16), outputs),
            np.float32(1 / total),
            loss,
            *_arrays(*found),
        )
        after = outputs[-1:].clone(), cells[-1:].clone()
        return torch.tensor(loss[0], dtype=torch.float32), found, after

    def gradients(self, found: Sequence[Tensor]) -> list[Tensor]:
        """Returns the gradients of all parameters.

        Args:
            found: what `of_streams` returned, added up over all streams.
        """
        table, recurrent, head, head_bias = found
        inner = self._weights["lstm.weight_ih_l0"]
        bias = table.sum(0)
        by_name = {
            "lstm.weight_hh_l0": recurrent if self._mask is None else recurrent * self._mask,
            "lstm.bias_ih_l0": bias,
            "lstm.bias_hh_l0": bias.clone(),  # what is done in place must be done once to each
            "head.weight": head[: self._symbols],
            "head.bias": head_bias[: self._symbols],
        }
        if self._embedding is None:
            by_name["lstm.weight_ih_l0"] = table.t().contiguous()
        else:
            by_name["lstm.weight_ih_l0"] = table.t() @ self._embedding
            by_name["embedding.weight"] = table @ inner
        return [by_name[name] for name in self._weights]


def _arrays(*tensors: Tensor) -> tuple[npt.NDArray[Any], ...]:
    """Returns the numbers of tensors, in place."""
    return tuple(tensor.numpy() for tensor in tensors)


def _prepare() -> None:
    """Compiles the step, or finds it on the disk: a step of one character."""
    shapes = {"embedding.weight": (1, 1), "lstm.weight_ih_l0": (8, 1), "lstm.weight_hh_l0": (8, 2)}
    shapes |= {"head.weight": (1, 2)}
    weights = {name: torch.zeros(shape) for name, shape in shapes.items()}
    for name, size in {"lstm.bias_ih_l0": 8, "lstm.bias_hh_l0": 8, "head.bias": 1}.items():
        weights[name] = torch.zeros(size)
    ids = torch.zeros(1, 1, dtype=torch.int64)
    state = torch.zeros(1, 1, 2), torch.zeros(1, 1, 2)
    BegunStep(weights, None, compiles=True).of_streams(ids, ids, state, None, 1)
