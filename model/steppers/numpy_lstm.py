"""LSTM steps for one stream and for many, with all buffers allocated once. NumPy.

``nn.LSTM`` packs its weight matrices again in each call, so a call per character is slow. Here a
character costs one matrix-vector product per layer and little else. Equations: Hochreiter &
Schmidhuber (1997) with the forget gate of Gers et al. (2000), as in ``torch.nn.LSTM``.
Letters: S streams, V vocabulary, L layers, H hidden.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from model.config import NORM_EPSILON
from model.network.snapshot import FloatArray, LstmSnapshot, WeightSnapshot
from model.steppers.stepper import StepperState, Symbols

HALF = np.float32(0.5)


class LstmStepper:
    """Steps one stream; a `Stepper`."""

    def __init__(self, snapshot: WeightSnapshot) -> None:
        assert isinstance(snapshot, LstmSnapshot)
        self._snapshot = snapshot
        count, width = len(snapshot.layers), snapshot.hidden
        # Row l of _joined is [output of layer l-1, hidden state of layer l]. Layer 0 has its inputs
        # in the table and uses the second half alone.
        self._joined = np.zeros((count, 2 * width), np.float32)
        self._cell = np.zeros((count, width), np.float32)
        self._gates = np.empty(4 * width, np.float32)
        self._scratch = np.empty(width, np.float32)
        self._logits = np.zeros(snapshot.vocabulary_size, np.float32)
        # Views, created once because creating one costs as much as a small addition.
        gates = self._gates
        self._sigmoids, self._output = gates[: 3 * width], gates[2 * width : 3 * width]
        self._input, self._forget = gates[:width], gates[width : 2 * width]
        self._candidate = gates[3 * width :]
        self._inputs = [row[:width] for row in self._joined]
        self._hidden = [row[width:] for row in self._joined]
        self._operands = [self._hidden[0], *self._joined[1:]]
        self._cells = list(self._cell)

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Replaces the weights by others of the same shape and keeps the state.

        Raises:
            ValueError: the weights have another shape.
        """
        assert isinstance(snapshot, LstmSnapshot)
        # Weights that overflowed leave a NaN in the state, which no other weights remove.
        if not (np.isfinite(self._joined).all() and np.isfinite(self._cell).all()):
            self.reset()
        if not snapshot.has_shape_of(self._snapshot):
            raise ValueError("a snapshot of another shape cannot carry on this state")
        self._snapshot = snapshot

    @property
    def state(self) -> StepperState:
        """A copy of hidden and cell state, each [L, H]; assigning one restores it."""
        return self.outputs().copy(), self._cell.copy()

    @state.setter
    def state(self, state: StepperState) -> None:
        self.outputs()[:], self._cell[:] = state

    def outputs(self) -> FloatArray:
        """Returns the hidden state [L, H]; the next step overwrites it."""
        return self._joined[:, self._snapshot.hidden :]

    def reset(self) -> None:
        """Sets the state to zero, a cold start."""
        self._joined.fill(0)
        self._cell.fill(0)

    def prime(self, ids: Iterable[int]) -> FloatArray:
        """Reads characters in turn; returns the logits [V] after the last, valid until next time.

        Without ids the logits follow from the state as it is.
        """
        for symbol_id in ids:
            self._advance(symbol_id)
        np.dot(self._snapshot.head_matrix, self._hidden[-1], self._logits)
        self._logits += self._snapshot.head_bias
        return self._logits

    def _advance(self, symbol_id: int) -> None:
        gates, scratch, sigmoids = self._gates, self._scratch, self._sigmoids
        input_gates = self._snapshot.input_table[symbol_id]
        for index, layer in enumerate(self._snapshot.layers):
            cell, hidden = self._cells[index], self._hidden[index]
            if index:
                self._inputs[index][:] = self._hidden[index - 1]
            np.dot(layer.matrix, self._operands[index], gates)
            if index == 0:
                gates += input_gates
            if layer.gain is not None:
                gates *= layer.gain * inverse_rms(np.dot(gates, gates) / np.float32(len(gates)))
            if layer.bias is not None:
                gates += layer.bias
            np.tanh(gates, gates)
            sigmoids *= HALF
            sigmoids += HALF
            cell *= self._forget
            np.multiply(self._input, self._candidate, scratch)
            cell += scratch
            np.tanh(cell, scratch)
            np.multiply(self._output, scratch, hidden)


def inverse_rms(mean_square: FloatArray | np.float32) -> FloatArray:
    """Returns what RMSNorm multiplies numbers by, besides the gain."""
    return np.asarray(1 / np.sqrt(mean_square + np.float32(NORM_EPSILON)), np.float32)


COLUMNS = 8
"""The number of streams is padded to a multiple of this. In matrices of equal size every column is
computed alike, so a stream has the same bits alone and beside up to seven others."""
MAX_UNPACKED_PRODUCT = 1_000_000
"""Multiplications in a product for which OpenBLAS reads the matrix in place. In a larger product it
first packs the matrix, which for few columns takes longer than the product itself."""
MAX_SPLIT_COLUMNS = 32
"""Columns up to which splitting a product into such small ones pays. For LSTM(512) it takes half
the time for 4 columns, 0.95 of it for 32, 1.1 for 64 (OpenBLAS 0.3 on a Xeon with AVX-512)."""
SPLIT_ROWS = 16
"""The rows of each small product are a multiple of this."""


def batch_matmul(matrix: FloatArray, columns: FloatArray, out: FloatArray) -> None:
    """Computes ``matrix`` [M, K] times ``columns`` [K, S] into ``out`` [M, S]."""
    inner, streams = columns.shape
    rows = MAX_UNPACKED_PRODUCT // (inner * streams) // SPLIT_ROWS * SPLIT_ROWS
    if streams > MAX_SPLIT_COLUMNS or rows == 0 or rows >= len(matrix):
        np.dot(matrix, columns, out)
        return
    for first in range(0, len(matrix), rows):
        np.dot(matrix[first : first + rows], columns, out[first : first + rows])


class LstmBatchStepper:
    """Steps S streams, each a column of state and gates; a `BatchStepper`."""

    def __init__(self, snapshot: WeightSnapshot, streams: int) -> None:
        assert isinstance(snapshot, LstmSnapshot)
        width, count = snapshot.hidden, len(snapshot.layers)
        columns = -(-streams // COLUMNS) * COLUMNS
        self._width, self._streams = width, streams
        self.adopt(snapshot)
        self._symbols = np.zeros(columns, np.intp)
        self._joined = np.zeros((count, 2 * width, columns), np.float32)
        self._cell = np.zeros((count, width, columns), np.float32)
        self._gates = np.empty((4 * width, columns), np.float32)
        self._input_gates = np.empty_like(self._gates)
        self._scratch = np.empty((width, columns), np.float32)
        self._logits = np.empty((snapshot.vocabulary_size, columns), np.float32)

    @property
    def state(self) -> StepperState:
        """Hidden and cell state, each [L, H, S]; the next step overwrites them, assigning too."""
        hidden = self._joined[:, self._width :]
        return hidden[..., : self._streams], self._cell[..., : self._streams]

    @state.setter
    def state(self, state: StepperState) -> None:
        for part, restored in zip(self.state, state, strict=True):
            part[:] = restored

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Replaces the weights by others of the same shape and keeps the state."""
        assert isinstance(snapshot, LstmSnapshot)
        self._matrices = [layer.matrix for layer in snapshot.layers]
        self._gains, self._biases = (
            [None if weights is None else weights[:, None] for weights in parts]
            for parts in zip(*((layer.gain, layer.bias) for layer in snapshot.layers), strict=True)
        )
        self._table = np.ascontiguousarray(snapshot.input_table.T)
        self._head_matrix = snapshot.head_matrix
        self._head_bias = snapshot.head_bias[:, None]

    def reset(self) -> None:
        """Sets every state to zero, a cold start."""
        self._joined.fill(0)
        self._cell.fill(0)

    def prime(self, ids: Iterable[Symbols]) -> FloatArray:
        """Reads characters [S] in turn; returns the logits [V, S] after the last."""
        for symbols in ids:
            self._advance(symbols)
        np.dot(self._head_matrix, self._joined[-1, self._width :], self._logits)
        self._logits += self._head_bias
        return self._logits[:, : self._streams]

    def _advance(self, symbols: Symbols) -> None:
        width, gates, scratch = self._width, self._gates, self._scratch
        self._symbols[: self._streams] = symbols
        # "clip" lets NumPy write into the buffer without a copy; no id is out of range.
        np.take(self._table, self._symbols, axis=1, out=self._input_gates, mode="clip")
        layers = zip(self._matrices, self._gains, self._biases, strict=True)
        for index, (matrix, gain, bias) in enumerate(layers):
            joined, cell = self._joined[index], self._cell[index]
            if index:
                joined[:width] = self._joined[index - 1, width:]
            batch_matmul(matrix, joined if index else joined[width:], gates)
            if index == 0:
                gates += self._input_gates
            if gain is not None:
                gates *= inverse_rms(np.square(gates).mean(axis=0))
                gates *= gain
            if bias is not None:
                gates += bias
            np.tanh(gates, gates)
            gates[: 3 * width] *= HALF
            gates[: 3 * width] += HALF
            cell *= gates[width : 2 * width]
            np.multiply(gates[:width], gates[3 * width :], scratch)
            cell += scratch
            np.tanh(cell, scratch)
            np.multiply(gates[2 * width : 3 * width], scratch, joined[width:])
