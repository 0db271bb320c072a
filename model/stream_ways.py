"""How texts side by side are computed: weights, state and kernel of each way. NumPy, Numba.

Letters: S streams, P the columns for them, V vocabulary, H hidden, L layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from model.batch_sampler import StreamsSoFar
from model.kernels.cpu import HAS_BFLOAT16
from model.kernels.decode import units_of_a_block, write_in_pairs
from model.kernels.decode_streams import (
    GATE_BLOCK_ROWS,
    UNITS_PER_BLOCK,
    pack_gate_rows,
    padded_columns,
    write_streams,
)
from model.kernels.dtypes import Array, to_bfloat16
from model.kernels.jit import Kernel
from model.kernels.packing import (
    INNER_STEP,
    PANEL,
    aligned,
    pack_for_decoding,
)
from model.network.snapshot import FloatArray, WeightSnapshot

Share = tuple[tuple[Any, ...], FloatArray]
"""What a thread's kernel takes between the clocks and the operands; room for its sums."""


class Way(Protocol):
    """What a kernel is called with; its last arguments are those that all ways have."""

    kernel: Kernel
    operands: Array
    """What the products take before and after a character."""
    cell: FloatArray

    def share(self, part: int, parts: int) -> Share:
        """Returns one thread's share of the weights, and room for its sums."""


def way_for(snapshot: WeightSnapshot, so_far: StreamsSoFar) -> Way:
    """Returns the quickest way that writes as the network was trained."""
    if writes_in_bfloat16(snapshot):
        return InPairs(snapshot, so_far)
    return InColumns(snapshot, so_far)


class InColumns:
    """float32, a column for each stream: `model.kernels.decode_streams`."""

    def __init__(self, snapshot: WeightSnapshot, so_far: StreamsSoFar) -> None:
        """Takes over the state."""
        self.kernel = write_streams
        self._snapshot = snapshot
        self._fixed = (snapshot.input_table, _biases(snapshot), snapshot.head_bias)
        self.cell = _with_columns(so_far.cell)
        hidden = _with_columns(so_far.hidden)
        _, width, columns = hidden.shape
        empty = np.zeros((width, columns), np.float32)
        pieces = [hidden[0]]
        for own in hidden[1:]:
            pieces += [empty, own]
        self.operands = np.stack([np.concatenate([*pieces, empty])] * 2)

    def share(self, part: int, parts: int) -> Share:
        """Returns one thread's share of the weights, and room for its sums."""
        pieces = list(_blocks(self._snapshot, part, parts, UNITS_PER_BLOCK))
        rows = _rows(self._snapshot, part, parts)
        weights = np.concatenate([pack_gate_rows(piece) for piece in [*pieces, rows]])
        sums = np.zeros(
            (max(4 * UNITS_PER_BLOCK, len(rows)) + GATE_BLOCK_ROWS, self.cell.shape[2]), np.float32
        )
        return (*self._fixed, weights), sums


class InPairs:
    """bfloat16, a row for each stream: `model.kernels.decode`."""

    def __init__(self, snapshot: WeightSnapshot, so_far: StreamsSoFar) -> None:
        """Takes over the state, rounded as in training."""
        self.kernel = write_in_pairs
        self._snapshot = snapshot
        self._fixed = (snapshot.input_table, _biases(snapshot), snapshot.head_bias)
        self.cell = so_far.cell.transpose(0, 2, 1).copy()
        hidden = so_far.hidden.transpose(0, 2, 1)
        empty = np.zeros_like(hidden[0])
        pieces = [hidden[0]] + [np.concatenate([empty, own], axis=1) for own in hidden[1:]]
        rounded = [to_bfloat16(_with_inner(piece)).reshape(-1) for piece in (*pieces, empty)]
        self.operands = aligned(np.stack([np.concatenate(rounded)] * 2))

    def share(self, part: int, parts: int) -> Share:
        """Returns one thread's share of the weights, and room for its sums."""
        streams = self.cell.shape[1]
        pieces = list(_blocks(self._snapshot, part, parts, units_of_a_block(streams)))
        rows = _rows(self._snapshot, part, parts)
        matrices = [_with_rows(_with_inner(piece)) for piece in [*pieces, rows]]
        sums = aligned(np.zeros(streams * max(map(len, matrices)), np.float32))
        return (*self._fixed, pack_for_decoding(matrices, streams)), sums


def _with_rows(matrix: FloatArray) -> FloatArray:
    """Returns a matrix with rows of zeros, up to whole panels."""
    return np.pad(matrix, ((0, -len(matrix) % PANEL), (0, 0)))


def _with_inner(matrix: FloatArray) -> FloatArray:
    """Returns a matrix with columns of zeros, as many as its products take."""
    return np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % INNER_STEP)))


def _blocks(snapshot: WeightSnapshot, part: int, parts: int, units: int) -> Iterator[FloatArray]:
    """Yields a thread's rows of all layers, so many units at a time, one gate after the other."""
    width = snapshot.hidden
    first, last = width * part // parts, width * (part + 1) // parts
    for layer in snapshot.layers:
        gates = layer.matrix.reshape(4, width, -1)
        for start in range(first, last, units):
            some = gates[:, start : min(start + units, last)]
            yield some.reshape(-1, some.shape[2])


def _rows(snapshot: WeightSnapshot, part: int, parts: int) -> FloatArray:
    """Returns a thread's rows of the head."""
    symbols = snapshot.vocabulary_size
    return snapshot.head_matrix[symbols * part // parts : symbols * (part + 1) // parts]


def _biases(snapshot: WeightSnapshot) -> FloatArray:
    """Returns the biases of all layers but the first, [L - 1, 4H]."""
    biases = [layer.bias for layer in snapshot.layers if layer.bias is not None]
    return np.array(biases, np.float32).reshape(len(biases), 4 * snapshot.hidden)


def _with_columns(state: FloatArray) -> FloatArray:
    """Returns a state [L, H, S] with columns of zeros, [L, H, P]."""
    spare = padded_columns(state.shape[2]) - state.shape[2]
    return np.pad(state, ((0, 0), (0, 0), (0, spare)))


def writes_in_bfloat16(snapshot: WeightSnapshot) -> bool:
    """Whether a network was trained in bfloat16, and this processor multiplies pairs of them."""
    return HAS_BFLOAT16 and snapshot.precision == "bf16" and snapshot.hidden % 2 == 0
