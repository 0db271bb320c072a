"""GRU steps for one stream and for many. NumPy.

Equations: see `model.network.gru_form`. Letters: S streams, V vocabulary, L layers, H hidden.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from model.network.gru_form import GruSnapshot
from model.network.snapshot import FloatArray, WeightSnapshot
from model.steppers.numpy_lstm import COLUMNS, HALF, batch_matmul
from model.steppers.stepper import StepperState, Symbols


class GruStepper:
    """Steps one stream; a `Stepper`."""

    def __init__(self, snapshot: WeightSnapshot) -> None:
        assert isinstance(snapshot, GruSnapshot)
        self._snapshot = snapshot
        self._hidden = np.zeros((len(snapshot.layers), snapshot.head_matrix.shape[1]), np.float32)

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Replaces the weights by others of the same shape and keeps the state.

        Raises:
            ValueError: the weights have another shape.
        """
        assert isinstance(snapshot, GruSnapshot)
        if not snapshot.has_shape_of(self._snapshot):
            raise ValueError("a snapshot of another shape cannot carry on this state")
        # Weights that overflowed leave a NaN in the state, which no other weights remove.
        if not np.isfinite(self._hidden).all():
            self.reset()
        self._snapshot = snapshot

    @property
    def state(self) -> StepperState:
        """A copy of the hidden state [L, H]; assigning one restores it."""
        return (self._hidden.copy(),)

    @state.setter
    def state(self, state: StepperState) -> None:
        self._hidden[:] = state[0]

    def outputs(self) -> FloatArray:
        """Returns the hidden state [L, H]; the next step overwrites it."""
        return self._hidden

    def reset(self) -> None:
        """Sets the state to zero, a cold start."""
        self._hidden.fill(0)

    def prime(self, ids: Iterable[int]) -> FloatArray:
        """Reads characters in turn; returns the logits [V] after the last."""
        for symbol_id in ids:
            for index, layer in enumerate(self._snapshot.layers):
                if index:
                    inputs = layer.inputs @ self._hidden[index - 1]
                    inputs += layer.input_bias
                else:
                    inputs = layer.inputs[symbol_id]
                products = layer.recurrent @ self._hidden[index]
                products += layer.recurrent_bias
                _advance(self._hidden[index], inputs, products)
        logits: FloatArray = self._snapshot.head_matrix @ self._hidden[-1]
        logits += self._snapshot.head_bias
        return logits


class GruBatchStepper:
    """Steps S streams, each a column of the state; a `CarryingBatchStepper`."""

    def __init__(self, snapshot: WeightSnapshot, streams: int) -> None:
        self.adopt(snapshot)
        self._streams = streams
        columns = -(-streams // COLUMNS) * COLUMNS
        self._symbols = np.zeros(columns, np.intp)
        width = self._snapshot.head_matrix.shape[1]
        self._hidden = np.zeros((len(self._snapshot.layers), width, columns), np.float32)
        self._inputs = np.empty((3 * width, columns), np.float32)
        self._products = np.empty_like(self._inputs)

    @property
    def state(self) -> StepperState:
        """The hidden state [L, H, S]; the next step overwrites it, assigning too."""
        return (self._hidden[..., : self._streams],)

    @state.setter
    def state(self, state: StepperState) -> None:
        self._hidden[..., : self._streams] = state[0]

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Replaces the weights by others of the same shape and keeps the state."""
        assert isinstance(snapshot, GruSnapshot)
        self._snapshot = snapshot

    def reset(self) -> None:
        """Sets every state to zero, a cold start."""
        self._hidden.fill(0)

    def prime(self, ids: Iterable[Symbols]) -> FloatArray:
        """Reads characters [S] in turn; returns the logits [V, S] after the last."""
        for symbols in ids:
            self._symbols[: self._streams] = symbols
            for index, layer in enumerate(self._snapshot.layers):
                inputs = self._inputs
                if index:
                    batch_matmul(layer.inputs, self._hidden[index - 1], inputs)
                    inputs += layer.input_bias[:, None]
                else:
                    inputs[:] = layer.inputs[self._symbols].T
                batch_matmul(layer.recurrent, self._hidden[index], self._products)
                self._products += layer.recurrent_bias[:, None]
                _advance(self._hidden[index], inputs, self._products)
        logits: FloatArray = self._snapshot.head_matrix @ self._hidden[-1]
        logits += self._snapshot.head_bias[:, None]
        return logits[:, : self._streams]


def _advance(hidden: FloatArray, inputs: FloatArray, products: FloatArray) -> None:
    """Replaces a layer's state [H, ...]; ``inputs`` and ``products`` are its gates [3H, ...]."""
    width = len(hidden)
    gates = inputs[: 2 * width] + products[: 2 * width]
    np.tanh(gates, gates)
    gates *= HALF
    gates += HALF
    candidate = gates[:width] * products[2 * width :]
    candidate += inputs[2 * width :]
    np.tanh(candidate, candidate)
    hidden -= candidate
    hidden *= gates[width:]
    hidden += candidate
