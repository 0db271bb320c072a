"""Threads that write texts side by side, in compiled code. NumPy, Numba.

Goes on with what ``model.sampling.parallel_streams`` or ``model.sampling.long_text`` began; how it
computes is in ``model.sampling.compiled_lstm``. Letters: S streams, V vocabulary, H hidden, L
layers.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from model.kernels.cpu import HAS_AMX, HAS_BFLOAT16
from model.kernels.decode import units_of_a_block, write_in_pairs
from model.kernels.decode_streams import (
    GATE_BLOCK_ROWS,
    UNITS_PER_BLOCK,
    pack_gate_rows,
    padded_columns,
    write_streams,
)
from model.kernels.dtypes import Array, to_bfloat16
from model.kernels.gumbel import draw_block
from model.kernels.jit import Kernel
from model.kernels.packing import (
    INNER_STEP,
    PANEL,
    aligned,
    pack_for_decoding,
)
from model.kernels.splitmix import BLOCK
from model.kernels.threads import Arrivals, Team, barrier_arguments, thread_counts
from model.network.snapshot import FloatArray, LstmSnapshot
from model.sampling.numpy_threads import fastest_count
from model.sampling.stepper import SamplerState, Symbols
from model.system.cores import usable_cores

LEAST_STREAMS = 4
LEAST_UNITS = 32
"""With less there is nothing to gain."""
STREAMS_OF_A_TEAM = 8
"""At least: the rows of a block of ``model.kernels.matmul``. Fewer streams share the units."""
STREAMS_OF_THE_UNIT, MANY_OF_THE_UNIT = 16, 64
"""The same where the matrix unit multiplies: the rows of a tile, and where a core's cache does not
hold the weights, for the unit is quicker than what is behind that cache."""
SMALL = 2**20
"""Bytes of weights that a core's second-level cache holds beside all else."""
UNITS_OF_A_THREAD = 16
"""A multiple of so many, at least."""
_BITS = 2
"""Bytes of a bfloat16."""
TIMED_OF_FEW, TIMED_OF_MANY = BLOCK, 64
"""Characters of few streams, and of many, that a number of threads is timed with: some milliseconds
of work; see ``model.sampling.long_text``."""


def successor(
    snapshot: LstmSnapshot, state: SamplerState, temperature: float
) -> StreamTeam | StreamTeams | None:
    """Returns what goes on from there; None where network or S are too small for it."""
    streams = len(state.noises)
    if streams < LEAST_STREAMS or snapshot.hidden < LEAST_UNITS:
        return None
    teams = min(usable_cores(), streams // _least_of_a_team(snapshot))
    if writes_in_bfloat16(snapshot) and teams > 1:
        return StreamTeams(snapshot, state, temperature, teams)
    return StreamTeam(snapshot, state, temperature)


def _least_of_a_team(snapshot: LstmSnapshot) -> int:
    """Returns how many streams of their own make up for weights of their own."""
    if not HAS_AMX:
        return STREAMS_OF_A_TEAM
    matrices = [*(layer.matrix for layer in snapshot.layers), snapshot.head_matrix]
    is_small = sum(matrix.size for matrix in matrices) * _BITS <= SMALL
    return STREAMS_OF_THE_UNIT if is_small else MANY_OF_THE_UNIT


class StreamTeams:
    """S texts, shared out among teams that never wait for each other within a character."""

    def __init__(
        self, snapshot: LstmSnapshot, state: SamplerState, temperature: float, count: int
    ) -> None:
        """Forms so many teams; the cores are shared out among them."""
        streams, most = len(state.noises), max(1, usable_cores() // count)
        borders = [streams * team // count for team in range(count + 1)]
        parts = [state.of_streams(slice(*pair)) for pair in itertools.pairwise(borders)]
        self._teams = [StreamTeam(snapshot, part, temperature, most=most) for part in parts]
        self._pool = ThreadPoolExecutor(count, "streams")

    def write(self, count: int) -> tuple[Symbols, FloatArray]:
        """Writes so many characters in each text; returns ids and own probabilities [count, S]."""
        written = self._pool.map(lambda team: team.write(count), self._teams)
        ids, own = zip(*written, strict=True)
        return np.concatenate(ids, axis=1), np.concatenate(own, axis=1)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()
        for team in self._teams:
            team.close()


class StreamTeam:
    """S texts; the threads that write them share the hidden units, and end with it."""

    def __init__(
        self,
        snapshot: LstmSnapshot,
        state: SamplerState,
        temperature: float,
        *,
        threads: int | None = None,
        most: int | None = None,
    ) -> None:
        """Compiles what it needs or finds it on the disk, and finds out how many threads pay.

        Args:
            snapshot: the weights.
            state: of the texts.
            temperature: that characters are drawn at; 0: always the likeliest.
            threads: so many; None: as many as prove fastest.
            most: but no more than so many; None: as many as there are cores.
        """
        streams, symbols = state.logits.shape
        self._noises, self._written = state.noises, state.written
        self._number = -1
        self._block = np.zeros((BLOCK, streams, symbols), np.float32)
        self._scale = np.float32(1 / temperature if temperature else 1)
        self._is_greedy = temperature == 0
        self._logits = np.empty((BLOCK + 1, streams, symbols), np.float32)
        self._logits[0] = state.logits
        self._way = way_for(snapshot, state)
        self._operands, self._cell = self._way.operands, self._way.cell
        counts = thread_counts(snapshot.hidden, UNITS_OF_A_THREAD, most or usable_cores())
        self._team = Team(threads or counts[-1])
        self._take_threads(1)
        self._try()
        draw_block.run(np.uint64(0), 0, np.empty(symbols, np.uint64), self._block[:2].copy())
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

        def work(part: int, _: Arrivals) -> None:
            words = np.empty(self._block.shape[2], np.uint64)
            for stream in self._streams_of(part):
                start = np.uint64(self._noises[stream].start(number))
                draw_block.run(start, stream, words, self._block)

        self._team.run(len(self._shares), work)

    def _streams_of(self, part: int) -> range:
        """Returns the texts that are a thread's where each has some."""
        streams, parts = len(self._noises), len(self._shares)
        return range(streams * part // parts, streams * (part + 1) // parts)

    def _write(self, noise: FloatArray) -> tuple[Symbols, FloatArray]:
        """Writes a character in each text for every row of the noise."""
        count, streams = noise.shape[:2]
        ids, own = np.empty((count, streams), np.int64), np.empty((count, streams), np.float32)
        self._run(self._operands, self._cell, self._logits[: count + 1], noise, (ids, own))
        self._logits[0] = self._logits[count]
        self._operands[0] = self._operands[count % 2]
        return ids, own

    def _run(
        self,
        operands: Array,
        cell: FloatArray,
        logits: FloatArray,
        noise: FloatArray,
        written: tuple[Symbols, FloatArray],
    ) -> None:
        def work(part: int, clocks: Arrivals) -> None:
            given, sums = self._shares[part]
            before = (*barrier_arguments(part, clocks), *given, operands, sums)
            self._way.kernel.run(*before, cell, logits, noise, self._scale, *written)

        self._team.run(len(self._shares), work)

    def _take_threads(self, threads: int) -> None:
        """Gives each thread its rows of all matrices, and room for its sums."""
        self._shares: list[Share] = [self._way.share(part, threads) for part in range(threads)]

    def _seconds(self, threads: int) -> float:
        """Returns how long some characters take with so many threads."""
        if len(self._shares) != threads:
            self._take_threads(threads)
        began = time.perf_counter()
        self._try()
        return time.perf_counter() - began

    def _try(self) -> None:
        """Writes some characters that nobody reads; the texts stay where they are."""
        is_few = len(self._noises) < STREAMS_OF_A_TEAM
        count = TIMED_OF_FEW if is_few else TIMED_OF_MANY
        logits = self._logits[: count + 1].copy()
        noise = np.zeros_like(logits[1:])
        ids, own = np.empty(noise.shape[:2], np.int64), np.empty(noise.shape[:2], np.float32)
        self._run(aligned(self._operands), self._cell.copy(), logits, noise, (ids, own))


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


def way_for(snapshot: LstmSnapshot, state: SamplerState) -> Way:
    """Returns the quickest way that writes as the network was trained."""
    if writes_in_bfloat16(snapshot):
        return InPairs(snapshot, state)
    return InColumns(snapshot, state)


class InColumns:
    """float32, a column for each stream: `model.kernels.decode_streams`."""

    def __init__(self, snapshot: LstmSnapshot, state: SamplerState) -> None:
        """Takes over the state."""
        self.kernel = write_streams
        self._snapshot = snapshot
        self._fixed = (snapshot.input_table, _biases(snapshot), snapshot.head_bias)
        hidden, self.cell = map(_with_columns, state.carried)
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

    def __init__(self, snapshot: LstmSnapshot, state: SamplerState) -> None:
        """Takes over the state, rounded as in training."""
        self.kernel = write_in_pairs
        self._snapshot = snapshot
        self._fixed = (snapshot.input_table, _biases(snapshot), snapshot.head_bias)
        hidden, cell = (part.transpose(0, 2, 1) for part in state.carried)
        self.cell = cell.copy()
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


def _blocks(snapshot: LstmSnapshot, part: int, parts: int, units: int) -> Iterator[FloatArray]:
    """Yields a thread's rows of all layers, so many units at a time, one gate after the other."""
    width = snapshot.hidden
    first, last = width * part // parts, width * (part + 1) // parts
    for layer in snapshot.layers:
        gates = layer.matrix.reshape(4, width, -1)
        for start in range(first, last, units):
            some = gates[:, start : min(start + units, last)]
            yield some.reshape(-1, some.shape[2])


def _rows(snapshot: LstmSnapshot, part: int, parts: int) -> FloatArray:
    """Returns a thread's rows of the head."""
    symbols = snapshot.vocabulary_size
    return snapshot.head_matrix[symbols * part // parts : symbols * (part + 1) // parts]


def _biases(snapshot: LstmSnapshot) -> FloatArray:
    """Returns the biases of all layers but the first, [L - 1, 4H]."""
    biases = [layer.bias for layer in snapshot.layers if layer.bias is not None]
    return np.array(biases, np.float32).reshape(len(biases), 4 * snapshot.hidden)


def _with_columns(state: FloatArray) -> FloatArray:
    """Returns a state [L, H, S] with columns of zeros, [L, H, P]."""
    spare = padded_columns(state.shape[2]) - state.shape[2]
    return np.pad(state, ((0, 0), (0, 0), (0, spare)))


def writes_in_bfloat16(snapshot: LstmSnapshot) -> bool:
    """Whether a network was trained in bfloat16, and this processor multiplies pairs of them."""
    return HAS_BFLOAT16 and snapshot.precision == "bf16" and snapshot.hidden % 2 == 0
