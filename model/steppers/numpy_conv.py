"""Steps of the causal dilated convolution, for one stream and for many. NumPy.

`model.network.conv_form` says what it computes. Letters: S streams, V vocabulary, L stacks, H
channels, N blocks of all stacks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from model.network.conv_form import DILATIONS, ConvSnapshot
from model.network.snapshot import FloatArray, WeightSnapshot
from model.steppers.numpy_lstm import COLUMNS, HALF, inverse_rms
from model.steppers.stepper import StepperState

MEMORY = max(DILATIONS)
"""Past characters that a block reads."""


class ConvStepper:
    """Steps one stream, or S side by side: a `Stepper` and a `CarryingBatchStepper`.

    Its ring buffer has a row for each of the last characters: what all blocks read of it. No row is
    changed once it is written, so that the states of many positions share their rows.
    """

    def __init__(self, snapshot: WeightSnapshot, streams: int | None = None) -> None:
        """Starts cold.

        Args:
            snapshot: the weights.
            streams: S; None steps one stream, whose arrays lack the last dimension.
        """
        assert isinstance(snapshot, ConvSnapshot)
        self._snapshot = snapshot
        self._streams = streams
        # As with the LSTM, a stream has the same bits alone and beside others.
        self._columns = () if streams is None else (-(-streams // COLUMNS) * COLUMNS,)
        self.reset()

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Replaces the weights by others of the same shape and keeps the state.

        Raises:
            ValueError: the weights have another shape.
        """
        assert isinstance(snapshot, ConvSnapshot)
        if not snapshot.has_shape_of(self._snapshot):
            raise ValueError("a snapshot of another shape cannot carry on this state")
        # Weights that overflowed leave a NaN in the rows, which reaches all later ones.
        if not np.isfinite(self._outputs).all():
            self.reset()
        self._snapshot = snapshot

    def reset(self) -> None:
        """Sets the state to zero, a cold start."""
        weights, width = self._snapshot, self._snapshot.head_matrix.shape[1]
        self._outputs = np.zeros((len(weights.gains), width, *self._columns), np.float32)
        cold = np.zeros((len(weights.blocks), width, *self._columns), np.float32)
        self._rows = deque([cold] * MEMORY, maxlen=MEMORY)

    @property
    def state(self) -> StepperState:
        """The outputs [L, H] and the rows [N, H] of the ring buffer, the oldest first.

        Of S streams each array has S as its last dimension. Assigning a state restores it.
        """
        return tuple(part[..., : self._streams] if self._columns else part for part in self._all())

    @state.setter
    def state(self, state: StepperState) -> None:
        outputs, *rows = map(self._padded, state) if self._columns else state
        self._outputs, self._rows = outputs, deque(rows, maxlen=MEMORY)

    def outputs(self) -> FloatArray:
        """Returns the output of each channel at the end of each stack, [L, H], between -1 and 1."""
        squashed: FloatArray = np.tanh(self._outputs)
        return squashed

    def prime(self, ids: Iterable[Any]) -> FloatArray:
        """Reads characters in turn; returns the logits [V], or [V, S], after the last."""
        for symbols in ids:
            self._advance(symbols)
        bias = self._snapshot.head_bias
        logits: FloatArray = self._snapshot.head_matrix @ self._outputs[-1]
        logits += bias[:, None] if self._columns else bias
        return logits[:, : self._streams] if self._columns else logits

    def _all(self) -> StepperState:
        return (self._outputs, *self._rows)

    def _padded(self, part: FloatArray) -> FloatArray:
        """Returns an array of S streams with all columns."""
        padded = np.zeros((*part.shape[:-1], *self._columns), np.float32)
        padded[..., : self._streams] = part
        return padded

    def _advance(self, symbols: Any) -> None:
        weights, rows = self._snapshot, self._rows
        width = weights.head_matrix.shape[1]
        now = self._read(symbols)
        row = np.empty_like(rows[0])
        outputs = np.empty_like(self._outputs)
        for block, (matrix, bias) in enumerate(weights.blocks):
            layer, place = divmod(block, len(DILATIONS))
            _normalise(now, row[block])
            taps = np.concatenate((rows[-DILATIONS[place]][block], row[block]))
            sums = matrix @ taps
            sums += bias[:, None] if self._columns else bias
            gates = sums[width:]
            gates *= HALF
            np.tanh(gates, gates)  # sigmoid(x) = tanh(x / 2) / 2 + 1/2
            gates *= HALF
            gates += HALF
            now = now + sums[:width] * gates
            if place == len(DILATIONS) - 1:
                now = _normalise(now, outputs[layer])
                now *= weights.gains[layer][:, None] if self._columns else weights.gains[layer]
        rows.append(row)
        self._outputs = outputs

    def _read(self, symbols: Any) -> FloatArray:
        """Returns the inputs of the first block, [H], or [H, S] with all columns."""
        if not self._columns:
            alone: FloatArray = self._snapshot.input_table[symbols]
            return alone
        all_symbols = np.zeros(self._columns, np.intp)
        all_symbols[: self._streams] = symbols
        return np.ascontiguousarray(self._snapshot.input_table[all_symbols].T)


def _normalise(values: FloatArray, out: FloatArray) -> FloatArray:
    """Writes values [H, ...] divided by the root of their mean square into ``out``; returns it."""
    squares = np.einsum("h...,h...->...", values, values) / np.float32(len(values))
    np.multiply(values, inverse_rms(squares), out)
    return out
