"""Threads that write many texts side by side, in compiled code. NumPy, Numba.

Goes on with what ``model.batch_sampler`` began; see ``model.stream_kernel`` for how. Letters: S
streams, P the columns for them, V vocabulary, H hidden, L layers.
"""

from __future__ import annotations

import time
from typing import Self

import numpy as np

from model.batch_sampler import StreamsSoFar, Symbols
from model.column_product import ROWS, pack_rows, padded
from model.distribution import probabilities_of
from model.noise import BLOCK
from model.product_threads import fastest_count
from model.snapshot import FloatArray, WeightSnapshot
from model.stream_kernel import UNITS, write_streams
from model.team import Clocks, Team, meeting_arguments, possible_counts

LEAST_STREAMS = 4
LEAST_UNITS = 32
"""With less there is nothing to gain."""
UNITS_OF_A_THREAD = 16
"""A multiple of so many, at least."""
TIMED = 64
"""Characters that a number of threads is timed with; see ``model.long_text``."""


class StreamTeam:
    """S texts; the threads that write them end with it."""

    @classmethod
    def taking_over(
        cls, snapshot: WeightSnapshot, so_far: StreamsSoFar, temperature: float
    ) -> Self | None:
        """Returns one that goes on from there; None where network or S are too small for it."""
        suits = len(so_far.noises) >= LEAST_STREAMS and snapshot.hidden >= LEAST_UNITS
        return cls(snapshot, so_far, temperature) if suits else None

    def __init__(
        self,
        snapshot: WeightSnapshot,
        so_far: StreamsSoFar,
        temperature: float,
        *,
        threads: int | None = None,
    ) -> None:
        """Compiles what it needs or finds it on the disk, and finds out how many threads pay.

        Args:
            snapshot: the weights.
            so_far: where the texts stand.
            temperature: that characters are drawn at; 0: always the likeliest.
            threads: so many; None: as many as prove fastest.
        """
        layers, width, streams = so_far.hidden.shape
        symbols = snapshot.vocabulary_size
        self._snapshot = snapshot
        self._noises, self._written = so_far.noises, so_far.written
        self._number = -1
        self._block = np.zeros((BLOCK, streams, symbols), np.float32)
        self._scale = np.float32(1 / temperature if temperature else 1)
        self._is_greedy = temperature == 0
        self._cell = _with_columns(so_far.cell)
        self._logits = np.empty((BLOCK + 1, streams, symbols), np.float32)
        self._logits[0] = so_far.logits
        biases = [layer.bias for layer in snapshot.layers if layer.bias is not None]
        self._fixed = (
            snapshot.input_table,
            np.array(biases, np.float32).reshape(layers - 1, 4 * width),
            snapshot.head_bias,
        )
        self._operands = _operands_of(_with_columns(so_far.hidden))
        self._call = write_streams.prepare
        counts = possible_counts(width, UNITS_OF_A_THREAD)
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
        operands: FloatArray,
        cell: FloatArray,
        logits: FloatArray,
        noise: FloatArray,
        ids: Symbols,
    ) -> None:
        def work(part: int, clocks: Clocks) -> None:
            weights, sums = self._shares[part]
            before = (*meeting_arguments(part, clocks), *self._fixed, weights, operands, sums)
            drawn = np.zeros(cell.shape[2], np.int64)
            self._call(*before, cell, logits, noise, self._scale, drawn, ids)

        self._team.run(len(self._shares), work)

    def _take_threads(self, threads: int) -> None:
        """Gives each thread its rows of all matrices, and room for its sums."""
        width, symbols = self._snapshot.hidden, self._snapshot.vocabulary_size
        matrices = [layer.matrix for layer in self._snapshot.layers]
        columns = self._cell.shape[2]
        self._shares: list[tuple[FloatArray, FloatArray]] = []
        for part in range(threads):
            units = slice(width * part // threads, width * (part + 1) // threads)
            rows = slice(symbols * part // threads, symbols * (part + 1) // threads)
            pieces = [
                matrix.reshape(4, width, -1)[:, start : min(start + UNITS, units.stop)]
                for matrix in matrices
                for start in range(units.start, units.stop, UNITS)
            ]
            gates = [piece.reshape(-1, piece.shape[2]) for piece in pieces]
            weights = map(pack_rows, [*gates, self._snapshot.head_matrix[rows]])
            most = max(4 * UNITS, rows.stop - rows.start) + ROWS
            sums = np.zeros((most, columns), np.float32)
            self._shares.append((np.concatenate(list(weights)), sums))

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


def _with_columns(state: FloatArray) -> FloatArray:
    """Returns a state [L, H, S] with columns of zeros, [L, H, P]."""
    spare = padded(state.shape[2]) - state.shape[2]
    return np.pad(state, ((0, 0), (0, 0), (0, spare)))


def _operands_of(hidden: FloatArray) -> FloatArray:
    """Returns the operands of ``write_streams`` for a state [L, H, P] before a character."""
    _, width, columns = hidden.shape
    empty = np.zeros((width, columns), np.float32)
    pieces = [hidden[0]]
    for own in hidden[1:]:
        pieces += [empty, own]
    return np.stack([np.concatenate([*pieces, empty])] * 2)
