"""Many streams side by side on a processor's matrix unit, as exact as float32. NumPy, Numba.

The unit multiplies bfloat16 alone, of eight binary digits. A float32 is split into two of them, and
of the four products of halves the three that count are added up in float32: sixteen digits, an
error of a hundred-thousandth, at a fraction of the time of a product in float32. Letters: S
streams, V vocabulary, H hidden, L layers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.batch_sampler import GoOn, Symbols
from model.block_product import Addresses, block_product
from model.cell_kernels import _bfloat16, _tanh
from model.compiled import Kernel, compiled
from model.native_calls import multiply, release
from model.snapshot import FloatArray, WeightSnapshot

Array = npt.NDArray[Any]
Bits = npt.NDArray[np.uint16]

_HALF: Final = np.float32(0.5)
_DIGITS: Final = np.uint32(16)
LEAST_STREAMS = 8
LEAST_UNITS = 32
"""With less there is nothing to gain."""


def faster_kernel(snapshot: WeightSnapshot, streams: int) -> GoOn | None:
    """Returns what makes this kernel; None where it does not suit network, machine or streams."""
    suits = streams >= LEAST_STREAMS and snapshot.hidden % 2 == 0 and snapshot.hidden >= LEAST_UNITS
    if not suits or block_product() is None:
        return None
    _prepare()
    return SplitKernel


class SplitKernel:
    """Does what ``model.batch_sampler.BatchKernel`` does; each stream has a row."""

    def __init__(self, snapshot: WeightSnapshot, hidden: FloatArray, cell: FloatArray) -> None:
        """Goes on from a state.

        Args:
            snapshot: the weights; H is even.
            hidden: [L, H, S].
            cell: [L, H, S].
        """
        product = block_product()
        assert product is not None, "see faster_kernel"
        self._product: Addresses = product
        layers, self._width, self._streams = hidden.shape
        inner = [self._width, *[2 * self._width] * (layers - 1), self._width]
        # Of each layer and, last, of the head: what is multiplied, the halves of all rows at once.
        self._operands: list[Bits] = [
            np.zeros((2 * self._streams, columns), np.uint16) for columns in inner
        ]
        self._cell = np.ascontiguousarray(cell.transpose(0, 2, 1))
        self._hidden = np.ascontiguousarray(hidden.transpose(0, 2, 1))
        rows = 4 * self._width
        self._sums = np.empty((3, self._streams, rows), np.float32)
        self._head_sums = np.empty((3, self._streams, snapshot.vocabulary_size), np.float32)
        self._logits = np.empty((self._streams, snapshot.vocabulary_size), np.float32)
        self._nothing = np.zeros(self._streams, np.int64)
        self.adopt(snapshot)
        for layer in range(layers):
            _split_rows.run(self._hidden[layer], self._operands[layer], inner[layer] - self._width)

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Goes on with these weights, of the shape of those before; the state is kept."""
        matrices = [*(layer.matrix for layer in snapshot.layers), snapshot.head_matrix]
        self._halves = [_halves(matrix) for matrix in matrices]
        biases = [layer.bias for layer in snapshot.layers]
        self._tables = [snapshot.input_table if bias is None else bias[None] for bias in biases]
        self._head_bias = snapshot.head_bias

    def reset(self) -> None:
        """Sets every state to zero, a cold start."""
        self._cell.fill(0)
        for operand in self._operands:
            operand.fill(0)

    def prime(self, ids: Iterable[Symbols]) -> FloatArray:
        """Feeds characters [S], one after the other; returns the logits [V, S] after the last."""
        for symbols in ids:
            self._advance(symbols)
        high, low = self._halves[-1]
        _head.run(
            self._product,
            self._operands[-1],
            high,
            low,
            self._head_sums,
            self._head_bias,
            self._logits,
        )
        return self._logits.T

    def _advance(self, symbols: Symbols) -> None:
        last = len(self._tables) - 1
        for layer, (high, low) in enumerate(self._halves[:-1]):
            own, above = self._operands[layer], self._operands[layer + 1]
            _layer.run(
                self._product,
                own,
                high,
                low,
                self._sums,
                self._tables[layer],
                self._nothing if layer else symbols.astype(np.int64, copy=False),
                self._cell[layer],
                self._hidden[layer],
            )
            _split_rows.run(self._hidden[layer], above, 0)
            if layer or last:
                _split_rows.run(self._hidden[layer], own, own.shape[1] - self._width)
            else:
                own[:] = above


def _halves(matrix: FloatArray) -> tuple[Bits, Bits]:
    """Returns upper and lower half of [N, K], transposed and packed, each [K / 2, N, 2]."""
    rows, columns = matrix.shape
    high, low = (np.empty((columns // 2, rows, 2), np.uint16) for _ in range(2))
    _split_matrix.run(matrix, high, low)
    return high, low


def _prepare() -> None:
    """Compiles what the kernel needs for this processor, or finds it on the disk."""
    product = block_product()
    assert product is not None, "see faster_kernel"
    bits, pair = np.zeros((2, 2), np.uint16), np.zeros((1, 8, 2), np.uint16)
    numbers, sums = np.zeros((1, 2), np.float32), np.zeros((3, 1, 8), np.float32)
    fixed = np.zeros((8, 2), np.float32)
    fixed.flags.writeable = False  # as weights are, which makes another type for Numba
    _split_rows.prepare(numbers, bits, 0)
    _split_matrix.prepare(fixed, pair.copy(), pair.copy())
    ids, table = np.zeros(1, np.int64), fixed.reshape(2, 8)
    _layer.prepare(product, bits, pair, pair, sums, table, ids, numbers, numbers.copy())
    _head.prepare(product, bits, pair, pair, sums, table[0], sums[0].copy())


@compiled
def _split(number: Any) -> tuple[Any, Any]:
    """Returns the bits of the nearest bfloat16, and of the one nearest to what is left."""
    high = np.uint32(_bfloat16(number))
    rest = number - np.uint32(high << _DIGITS).view(np.float32)
    return np.uint16(high), np.uint16(_bfloat16(rest))


@Kernel
def _split_rows(numbers: Array, out: Array, first: int) -> None:
    """Puts the upper halves of [S, H] into the first S rows of out, the lower ones below."""
    streams, width = numbers.shape
    for s in range(streams):
        row, high, low = numbers[s], out[s], out[streams + s]
        for j in range(width):
            high[first + j], low[first + j] = _split(row[j])


@Kernel
def _split_matrix(matrix: Array, high: Array, low: Array) -> None:
    """Puts the halves of [N, K] into [K / 2, N, 2]."""
    rows, columns = matrix.shape
    for k in range(columns // 2):
        for n in range(rows):
            high[k, n, 0], low[k, n, 0] = _split(matrix[n, 2 * k])
            high[k, n, 1], low[k, n, 1] = _split(matrix[n, 2 * k + 1])


@compiled
def _products(product: Array, operand: Array, high: Array, low: Array, sums: Array) -> None:
    """Puts the three products of halves into sums [3, S, N]."""
    both, inner = operand.shape
    rows = sums.shape[2]
    start = operand.ctypes.data
    multiply(product[0], both, rows, inner, start, high.ctypes.data, sums.ctypes.data)
    third = sums[2].ctypes.data
    multiply(product[0], both // 2, rows, inner, start, low.ctypes.data, third)
    release(product[1])


@Kernel
def _layer(  # noqa: PLR0917 - compiled code takes them by position
    product: Array,
    operand: Array,
    high: Array,
    low: Array,
    sums: Array,
    table: Array,
    ids: Array,
    cell: Array,
    hidden: Array,
) -> None:
    """Makes a step of a layer.

    Args:
        product: of ``model.block_product``.
        operand: [2S, K], what comes in, halves below each other.
        high: [K / 2, 4H, 2], of the matrix in the order of ``LayerWeights``.
        low: the same.
        sums: [3, S, 4H], written over.
        table: [N, 4H], what else goes into the gates.
        ids: [S], the row of it that counts.
        cell: [S, H].
        hidden: [S, H], written.
    """
    _products(product, operand, high, low, sums)
    width = cell.shape[1]
    for s in range(len(ids)):
        added, one, two, three = table[ids[s]], sums[0, s], sums[1, s], sums[2, s]
        cell_row, hidden_row = cell[s], hidden[s]
        for j in range(width):
            i = one[j] + two[j] + three[j] + added[j]
            j_f, j_o, j_g = width + j, 2 * width + j, 3 * width + j
            f = one[j_f] + two[j_f] + three[j_f] + added[j_f]
            o = one[j_o] + two[j_o] + three[j_o] + added[j_o]
            g = one[j_g] + two[j_g] + three[j_g] + added[j_g]
            i = _tanh(i) * _HALF + _HALF
            f = _tanh(f) * _HALF + _HALF
            o = _tanh(o) * _HALF + _HALF
            after = cell_row[j] * f + i * _tanh(g)
            cell_row[j] = after
            hidden_row[j] = o * _tanh(after)


@Kernel
def _head(  # noqa: PLR0917
    product: Array,
    operand: Array,
    high: Array,
    low: Array,
    sums: Array,
    bias: Array,
    logits: Array,
) -> None:
    """Puts the logits into [S, V]."""
    _products(product, operand, high, low, sums)
    for s in range(len(logits)):
        row, one, two, three = logits[s], sums[0, s], sums[1, s], sums[2, s]
        for v in range(len(bias)):
            row[v] = one[v] + two[v] + three[v] + bias[v]
