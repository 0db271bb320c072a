"""Steps many LSTM streams on a device, for races and parallel streams. PyTorch.

Computes in float32 what `LstmBatchStepper` computes in NumPy, so the texts agree but for rounding.
Characters are drawn on the CPU: each costs one copy to the device and one back. All GPU kernels of
a step are launched together (`model.compute.cuda_graph`). Letters: S streams, V vocabulary, H
hidden, L layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model.compute.cuda_graph import GraphRunner
from model.config import NORM_EPSILON
from model.network.snapshot import FloatArray, LstmSnapshot, WeightSnapshot
from model.steppers.mixed_stepper import numpy_batch_stepper
from model.steppers.stepper import BatchStepper, MakeBatchStepper, Symbols


class TorchLstmStepper:
    """Steps S streams through ids; state, weights and products are on the device."""

    def __init__(self, snapshot: WeightSnapshot, streams: int, *, device: torch.device) -> None:
        self._recording = GraphRunner(device)
        assert isinstance(snapshot, LstmSnapshot)
        self._hidden = torch.zeros((len(snapshot.layers), streams, snapshot.hidden), device=device)
        self._cell = torch.zeros_like(self._hidden)
        self._weights = [torch.tensor(array, device=device) for array in _arrays(snapshot)]

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Replaces the weights by others of the same shape, and keeps the state."""
        for weight, array in zip(self._weights, _arrays(snapshot), strict=True):
            weight.copy_(torch.tensor(array))  # a CUDA graph reads them at their addresses

    def reset(self) -> None:
        """Sets every state to zero (cold start)."""
        self._hidden, self._cell = torch.zeros_like(self._hidden), torch.zeros_like(self._cell)

    def prime(self, ids: Iterable[Symbols]) -> FloatArray:
        """Feeds characters [S], at least one; returns the logits [V, S] after the last."""
        for symbols in ids:
            read = torch.from_numpy(np.ascontiguousarray(symbols, np.int64))
            operands = (read.to(self._hidden.device), self._hidden, self._cell)
            logits, self._hidden, self._cell = self._recording(self._advance, operands, None)
        return logits.cpu().numpy().T

    def _advance(self, operands: Sequence[Tensor]) -> Sequence[Tensor]:
        """Takes ids [S], hidden and cell state [L, S, H]; returns logits [S, V] and both states."""
        symbols, hidden, cell = operands
        table, head_bias, head_matrix, *layers = self._weights
        width, per_layer = hidden.shape[-1], len(layers) // len(hidden)
        operand = hidden[0]
        hiddens: list[Tensor] = []
        cells: list[Tensor] = []
        for layer, before in enumerate(cell):
            matrix, *weights = layers[per_layer * layer : per_layer * (layer + 1)]
            added = table[symbols] if layer == 0 else weights[-1]
            operand = operand if layer == 0 else torch.cat((operand, hidden[layer]), 1)
            if len(weights) == 2:  # normalised gates have a gain
                sums = operand @ matrix.T + (added if layer == 0 else 0)
                gates = functional.rms_norm(sums, weights[0].shape, weights[0], NORM_EPSILON)
                gates = (gates + weights[1]).tanh()
            else:
                gates = torch.addmm(added, operand, matrix.T).tanh()
            # sigmoid(2x) = tanh(x) / 2 + 1 / 2; the rows of i, f and o are halved.
            i, f, o = (gates[:, : 3 * width] * 0.5 + 0.5).chunk(3, dim=1)
            after = before * f + i * gates[:, 3 * width :]
            operand = o * after.tanh()
            cells.append(after)
            hiddens.append(operand)
        logits = torch.addmm(head_bias, operand, head_matrix.T)
        return logits, torch.stack(hiddens), torch.stack(cells)


def stepper_on(device: torch.device) -> MakeBatchStepper:
    """Returns what makes steppers that compute on the device; NumPy's for other networks."""
    return numpy_batch_stepper if device.type == "cpu" else partial(_device_stepper, device=device)


def stepper_beside_training(device: torch.device) -> MakeBatchStepper:
    """Returns what makes steppers for sampling beside a training on the device."""
    return stepper_on(device) if device.type == "cuda" else numpy_batch_stepper


def _device_stepper(
    snapshot: WeightSnapshot, streams: int, *, device: torch.device
) -> BatchStepper:
    if isinstance(snapshot, LstmSnapshot):
        return TorchLstmStepper(snapshot, streams, device=device)
    return numpy_batch_stepper(snapshot, streams)


def _arrays(snapshot: WeightSnapshot) -> list[FloatArray]:
    """Returns table, head bias and matrix; of each layer the matrix, the gain if any, and the bias.

    The first layer of an LSTM has its bias in the table, and zeros here.
    """
    assert isinstance(snapshot, LstmSnapshot)
    arrays = [snapshot.input_table, snapshot.head_bias, snapshot.head_matrix]
    for layer in snapshot.layers:
        bias = np.zeros(len(layer.matrix), np.float32) if layer.bias is None else layer.bias
        arrays += [layer.matrix, *([] if layer.gain is None else [layer.gain]), bias]
    return arrays
