"""Threads that write many texts side by side, in compiled code on a matrix unit. NumPy, Numba.

Goes on with what ``model.batch_sampler`` began; see ``model.split_kernel`` for how. Letters: S
streams, V vocabulary, H hidden, L layers.
"""

from __future__ import annotations

import time
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from model.batch_sampler import StreamsSoFar, Symbols
from model.block_product import Addresses, block_product
from model.distribution import probabilities_of
from model.noise import BLOCK
from model.product_threads import fastest_count
from model.snapshot import FloatArray, WeightSnapshot
from model.split_kernel import UNITS, split_matrix, split_rows, write_streams
from model.team import Clocks, Team, meeting_arguments, possible_counts

Bits = npt.NDArray[np.uint16]

LEAST_STREAMS = 8
LEAST_UNITS = 32
"""With less there is nothing to gain."""
TIMED = 64
"""Characters that a number of threads is timed with; see ``model.long_text``."""


class StreamTeam:
    """S texts; the threads that write them end with it."""

    @classmethod
    def taking_over(
        cls, snapshot: WeightSnapshot, so_far: StreamsSoFar, temperature: float
    ) -> Self | None:
        """Returns one that goes on from there; None where network, machine or S do not suit it."""
        streams = len(so_far.noises)
        suits = streams >= LEAST_STREAMS and snapshot.hidden >= LEAST_UNITS
        product = block_product() if suits and snapshot.hidden % 2 == 0 else None
        return None if product is None else cls(snapshot, so_far, temperature, product)

    def __init__(
        self,
        snapshot: WeightSnapshot,
        so_far: StreamsSoFar,
        temperature: float,
        product: Addresses,
        *,
        threads: int | None = None,
    ) -> None:
        """Compiles what it needs or finds it on the disk, and finds out how many threads pay.

        Args:
            snapshot: the weights; H is even.
            so_far: where the texts stand.
            temperature: that characters are drawn at; 0: always the likeliest.
            product: of ``model.block_product``.
            threads: so many; None: as many as prove fastest.
        """
        layers, width, streams = so_far.hidden.shape
        symbols = snapshot.vocabulary_size
        self._snapshot, self._product = snapshot, product
        self._noises, self._written = so_far.noises, so_far.written
        self._number = -1
        self._block = np.zeros((BLOCK, streams, symbols), np.float32)
        self._scale = np.float32(1 / temperature if temperature else 1)
        self._is_greedy = temperature == 0
        self._cell = np.ascontiguousarray(so_far.cell.transpose(0, 2, 1))
        self._logits = np.empty((BLOCK + 1, streams, symbols), np.float32)
        self._logits[0] = so_far.logits
        biases = [layer.bias for layer in snapshot.layers if layer.bias is not None]
        self._fixed = (
            product,
            snapshot.input_table,
            np.array(biases, np.float32).reshape(layers - 1, 4 * width),
            snapshot.head_bias,
        )
        self._operands = _operands_of(np.ascontiguousarray(so_far.hidden.transpose(0, 2, 1)))
        self._call = write_streams.prepare
        counts = possible_counts(width, UNITS)
        self._team = Team(threads or counts[-1])
        self._take_threads(1)
        self._try()
        self._call = write_streams.run
        self._take_threads(threads or fastest_count(counts, self._seconds))

    def write(self, count: int) -> tuple[Symbols, FloatArray]:
        """Writes so many characters in each text; returns ids and own probabilities [count, S]."""
        parts: list[tuple[Symbols, FloatArray]] = []
        while count:
            number, place = divmod(self._written, BLOCK)
            if number != self._number:
                self._draw_block(number)
            some = min(count, BLOCK - place)
            parts.append(self._write(self._block[place : place + some]))
            self._written += some
            count -= some
        ids, own = zip(*parts, strict=True)
        return np.concatenate(ids), np.concatenate(own)

    def close(self) -> None:
        """Ends the threads."""
        self._team.close()

    def _draw_block(self, number: int) -> None:
        """Draws the noise of the next characters, each thread that of some texts."""
        self._number = number
        if self._is_greedy:
            return  # what it was made of, zeros

        def work(part: int, _: Clocks) -> None:
            for stream in self._streams_of(part):
                self._block[:, stream] = self._noises[stream].block(number)

        self._team.run(len(self._shares), work)

    def _streams_of(self, part: int) -> range:
        """Returns the texts that are a thread's where each has some."""
        streams, parts = len(self._noises), len(self._shares)
        return range(streams * part // parts, streams * (part + 1) // parts)

    def _write(self, noise: FloatArray) -> tuple[Symbols, FloatArray]:
        """Writes a character in each text for every row of the noise."""
        count, streams = noise.shape[:2]
        ids = np.empty((count, streams), np.int64)
        self._run(self._operands, self._cell, self._logits[: count + 1], noise, ids)
        own = np.empty((count, streams), np.float32)

        def score(part: int, _: Clocks) -> None:
            some = self._streams_of(part)
            texts = slice(some.start, some.stop)
            own[:, texts] = probabilities_of(ids[:, texts], self._logits[:count, texts])

        self._team.run(len(self._shares), score)
        self._logits[0] = self._logits[count]
        self._operands[0] = self._operands[count % 2]
        return ids, own

    def _run(
        self,
        operands: Bits,
        cell: FloatArray,
        logits: FloatArray,
        noise: FloatArray,
        ids: Symbols,
    ) -> None:
        def work(part: int, clocks: Clocks) -> None:
            high, low, *scratch = self._shares[part]
            before = (*meeting_arguments(part, clocks), *self._fixed, high, low, operands)
            drawn = np.empty(ids.shape[1], np.int64)
            text = (cell, logits, noise, self._scale, drawn, ids)
            self._call(*before, *scratch, *text)

        self._team.run(len(self._shares), work)

    def _take_threads(self, threads: int) -> None:
        """Gives each thread its rows of all matrices, and room for its sums."""
        width, symbols = self._snapshot.hidden, self._snapshot.vocabulary_size
        matrices = [layer.matrix for layer in self._snapshot.layers]
        streams = self._cell.shape[1]
        self._shares: list[tuple[Any, ...]] = []
        for part in range(threads):
            units = slice(width * part // threads, width * (part + 1) // threads)
            rows = slice(symbols * part // threads, symbols * (part + 1) // threads)
            pieces = [
                matrix.reshape(4, width, -1)[gate, start : min(start + UNITS, units.stop)]
                for matrix in matrices
                for start in range(units.start, units.stop, UNITS)
                for gate in range(4)
            ]
            packed = map(_halves, [*pieces, self._snapshot.head_matrix[rows]])
            high, low = (np.concatenate(halves) for halves in zip(*packed, strict=True))
            sums = np.empty(3 * streams * max(4 * UNITS, rows.stop - rows.start), np.float32)
            self._shares.append((high, low, sums, np.empty(UNITS, np.float32)))

    def _seconds(self, threads: int) -> float:
        """Returns how long some characters take with so many threads."""
        if len(self._shares) != threads:
            self._take_threads(threads)
        began = time.perf_counter()
        self._try()
        return time.perf_counter() - began

    def _try(self) -> None:
        """Writes some characters that nobody reads; the texts stay where they are."""
        logits = self._logits[: TIMED + 1].copy()
        noise = np.zeros_like(logits[1:])
        ids = np.empty(noise.shape[:2], np.int64)
        self._run(self._operands.copy(), self._cell.copy(), logits, noise, ids)


def _halves(matrix: FloatArray) -> tuple[Bits, Bits]:
    """Returns upper and lower half of [N, K], each as one row of what `split_matrix` makes."""
    rows, columns = matrix.shape
    high, low = (np.empty((columns // 2, rows, 2), np.uint16) for _ in range(2))
    split_matrix.prepare(np.array(matrix), high, low)
    return high.reshape(-1), low.reshape(-1)


def _operands_of(hidden: FloatArray) -> Bits:
    """Returns the operands of ``write_streams`` for a state [L, S, H] before a character."""
    layers, streams, width = hidden.shape
    pieces = []
    for layer in range(layers):
        inner = 2 * width if layer else width
        operand = np.zeros((2 * streams, inner), np.uint16)
        split_rows.prepare(hidden[layer], operand, inner - width)
        pieces.append(operand.reshape(-1))
    pieces.append(np.zeros(2 * streams * width, np.uint16))
    return np.stack([np.concatenate(pieces)] * 2)
