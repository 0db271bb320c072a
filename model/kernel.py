"""One LSTM step for one stream, in NumPy, with every buffer allocated once.

``nn.LSTM`` called for one character repacks its weight matrices on every call; this kernel does a
matrix-vector product per layer and little else. Equations: Hochreiter & Schmidhuber (1997) with
the forget gate of Gers et al. (2000), as in ``torch.nn.LSTM``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from model.snapshot import FloatArray, WeightSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenState:
    """A copy of the carried state: ``hidden`` and ``cell``, each [L, H]."""

    hidden: FloatArray
    cell: FloatArray


class LstmKernel:
    """Steps a snapshot through ids, one at a time, carrying the hidden state."""

    def __init__(self, snapshot: WeightSnapshot) -> None:
        self._snapshot = snapshot
        count, width = len(snapshot.layers), snapshot.hidden
        # Row l of _joined is [output of layer l-1, hidden state of layer l]; layer 0 has no
        # recurrent input matrix and uses the second half alone.
        self._joined = np.zeros((count, 2 * width), np.float32)
        self._cell = np.zeros((count, width), np.float32)
        self._gates = np.empty(4 * width, np.float32)
        self._scratch = np.empty(width, np.float32)
        self._logits = np.zeros(snapshot.vocabulary_size, np.float32)

    @property
    def snapshot(self) -> WeightSnapshot:
        """The weights of the next step; assigning others of the same shape keeps the state."""
        return self._snapshot

    @snapshot.setter
    def snapshot(self, snapshot: WeightSnapshot) -> None:
        # Weights that overflowed leave a state that no others could ever mend.
        if not (np.isfinite(self._joined).all() and np.isfinite(self._cell).all()):
            self.reset()
        if (snapshot.hidden, len(snapshot.layers)) != (self._snapshot.hidden, len(self._cell)):
            raise ValueError("a snapshot of another shape cannot carry on this state")
        self._snapshot = snapshot

    @property
    def logits(self) -> FloatArray:
        """[V], of the character after the last one stepped; overwritten by the next step."""
        return self._logits

    @property
    def state(self) -> HiddenState:
        """The carried state; assigning one restores it."""
        width = self._snapshot.hidden
        return HiddenState(hidden=self._joined[:, width:].copy(), cell=self._cell.copy())

    @state.setter
    def state(self, state: HiddenState) -> None:
        self._joined[:, self._snapshot.hidden :] = state.hidden
        self._cell[:] = state.cell

    def reset(self) -> None:
        """Sets the state to zero, a cold start."""
        self._joined.fill(0)
        self._cell.fill(0)

    def step(self, symbol_id: int) -> FloatArray:
        """Feeds one character; returns the logits [V] of the next one (a view, see ``logits``)."""
        self._advance(symbol_id)
        np.dot(self._snapshot.head_matrix, self._joined[-1, self._snapshot.hidden :], self._logits)
        self._logits += self._snapshot.head_bias
        return self._logits

    def prime(self, ids: Iterable[int]) -> FloatArray:
        """Feeds several characters; returns the logits [V] after the last one."""
        for symbol_id in ids:
            self._advance(symbol_id)
        np.dot(self._snapshot.head_matrix, self._joined[-1, self._snapshot.hidden :], self._logits)
        self._logits += self._snapshot.head_bias
        return self._logits

    def _advance(self, symbol_id: int) -> None:
        width = self._snapshot.hidden
        gates, scratch = self._gates, self._scratch
        last = len(self._snapshot.layers) - 1
        for index, layer in enumerate(self._snapshot.layers):
            joined, cell = self._joined[index], self._cell[index]
            if layer.bias is None:
                np.dot(layer.matrix, joined[width:], gates)
                gates += self._snapshot.input_table[symbol_id]
            else:
                np.dot(layer.matrix, joined, gates)
                gates += layer.bias
            np.tanh(gates, gates)
            sigmoids = gates[: 3 * width]
            sigmoids *= 0.5
            sigmoids += 0.5
            cell *= gates[width : 2 * width]
            np.multiply(gates[:width], gates[3 * width :], scratch)
            cell += scratch
            np.tanh(cell, scratch)
            hidden = joined[width:]
            np.multiply(gates[2 * width : 3 * width], scratch, hidden)
            if index < last:
                self._joined[index + 1, :width] = hidden
