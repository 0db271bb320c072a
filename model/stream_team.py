"""Threads that write texts side by side, in compiled code. NumPy, Numba.

Goes on with what ``model.batch_sampler`` or ``model.long_text`` began; how it computes is in
``model.stream_ways``. Letters: S streams, V vocabulary, H hidden, L layers.
"""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from model.batch_sampler import StreamsSoFar, Symbols
from model.compute.cores import usable_cores
from model.kernels.cpu import HAS_AMX
from model.kernels.dtypes import Array
from model.kernels.gumbel import draw_block
from model.kernels.packing import aligned
from model.kernels.splitmix import BLOCK
from model.kernels.threads import Arrivals, Team, barrier_arguments, thread_counts
from model.network.snapshot import FloatArray, WeightSnapshot
from model.product_threads import fastest_count
from model.stream_ways import Share, way_for, writes_in_bfloat16

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
of work; see ``model.long_text``."""


def successor(
    snapshot: WeightSnapshot, so_far: StreamsSoFar, temperature: float
) -> StreamTeam | StreamTeams | None:
    """Returns what goes on from there; None where network or S are too small for it."""
    streams = len(so_far.noises)
    if streams < LEAST_STREAMS or snapshot.hidden < LEAST_UNITS:
        return None
    teams = min(usable_cores(), streams // _least_of_a_team(snapshot))
    if writes_in_bfloat16(snapshot) and teams > 1:
        return StreamTeams(snapshot, so_far, temperature, teams)
    return StreamTeam(snapshot, so_far, temperature)


def _least_of_a_team(snapshot: WeightSnapshot) -> int:
    """Returns how many streams of their own make up for weights of their own."""
    if not HAS_AMX:
        return STREAMS_OF_A_TEAM
    matrices = [*(layer.matrix for layer in snapshot.layers), snapshot.head_matrix]
    is_small = sum(matrix.size for matrix in matrices) * _BITS <= SMALL
    return STREAMS_OF_THE_UNIT if is_small else MANY_OF_THE_UNIT


class StreamTeams:
    """S texts, shared out among teams that never wait for each other within a character."""

    def __init__(
        self, snapshot: WeightSnapshot, so_far: StreamsSoFar, temperature: float, count: int
    ) -> None:
        """Forms so many teams; the cores are shared out among them."""
        streams, most = len(so_far.noises), max(1, usable_cores() // count)
        borders = [streams * team // count for team in range(count + 1)]
        parts = [so_far.of_streams(slice(*pair)) for pair in itertools.pairwise(borders)]
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
        snapshot: WeightSnapshot,
        so_far: StreamsSoFar,
        temperature: float,
        *,
        threads: int | None = None,
        most: int | None = None,
    ) -> None:
        """Compiles what it needs or finds it on the disk, and finds out how many threads pay.

        Args:
            snapshot: the weights.
            so_far: where the texts stand.
            temperature: that characters are drawn at; 0: always the likeliest.
            threads: so many; None: as many as prove fastest.
            most: but no more than so many; None: as many as there are cores.
        """
        streams, symbols = so_far.logits.shape
        self._noises, self._written = so_far.noises, so_far.written
        self._number = -1
        self._block = np.zeros((BLOCK, streams, symbols), np.float32)
        self._scale = np.float32(1 / temperature if temperature else 1)
        self._is_greedy = temperature == 0
        self._logits = np.empty((BLOCK + 1, streams, symbols), np.float32)
        self._logits[0] = so_far.logits
        self._way = way_for(snapshot, so_far)
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
