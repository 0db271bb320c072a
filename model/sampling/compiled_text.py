"""One long text in float32, written by compiled code on several threads. NumPy; Numba when made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model.kernels.splitmix import BLOCK
from model.kernels.threads import Arrivals, Team, barrier_arguments, thread_counts
from model.network.snapshot import FloatArray, LstmSnapshot
from model.sampling.distribution import probabilities_of
from model.sampling.numpy_threads import fastest_count
from model.sampling.stepper import SamplerState
from model.system.cores import usable_cores

if TYPE_CHECKING:
    pass


UNITS = 32
"""Hidden units of which a thread has a multiple."""


TIMED = BLOCK
"""Characters that a number of threads is timed with: some milliseconds, for the system may wake
threads on one and the same core and moves them apart only after a while."""


Ids = npt.NDArray[np.int64]


class WritingTeam:
    """Threads that write one text together in float32, in compiled code."""

    def __init__(
        self,
        snapshot: LstmSnapshot,
        state: SamplerState,
        temperature: float,
        *,
        threads: int | None = None,
    ) -> None:
        """Compiles what it needs or finds it on the disk, and finds out how many threads pay.

        Args:
            snapshot: the weights.
            state: of the one text, at the beginning of a block of the noise.
            temperature: that characters are drawn at; 0: always the likeliest.
            threads: so many; None: as many as prove fastest.
        """
        from model.kernels.decode import write_characters  # noqa: PLC0415 - Numba: see above

        self._call = write_characters.run
        self._noise, self._block = state.noises[0], state.written // BLOCK
        self._scale = np.float32(1 / temperature if temperature else 1)
        self._is_greedy = temperature == 0
        hidden, cell = (part[..., 0] for part in state.carried)
        layers, width = hidden.shape
        self._joined = np.zeros((2, layers, 2 * width), np.float32)
        self._joined[0, :, width:] = hidden
        self._cell = cell.copy()
        self._logits = np.empty((BLOCK + 1, snapshot.vocabulary_size), np.float32)
        self._logits[0] = state.logits[0]
        above = snapshot.layers[1:]
        upper = np.empty((len(above), 4 * width, 2 * width), np.float32)
        biases = np.empty((len(above), 4 * width), np.float32)
        for place, layer in enumerate(above):
            upper[place], biases[place] = layer.matrix, layer.bias
        self._weights = (
            snapshot.input_table,
            snapshot.layers[0].matrix,
            upper,
            biases,
            snapshot.head_matrix,
            snapshot.head_bias,
        )
        counts = thread_counts(width, UNITS, usable_cores())
        self._team = Team(threads or counts[-1])
        self._threads = 1
        self._ready: tuple[Ids, FloatArray] | None = None
        self._try(TIMED)
        self._threads = threads or fastest_count(counts, self._seconds)

    def write(self, most: int) -> tuple[Ids, FloatArray]:
        """Writes up to so many characters, at least one; returns ids and own probabilities."""
        if self._ready is None:
            self._ready = self._next_block()
        ids, own = self._ready
        self._ready = (ids[most:], own[most:]) if most < len(ids) else None
        return ids[:most], own[:most]

    def close(self) -> None:
        """Ends the threads."""
        self._team.close()

    def _next_block(self) -> tuple[Ids, FloatArray]:
        noise = self._noise.block(self._block)
        self._block += 1
        if self._is_greedy:
            noise = np.zeros_like(noise)
        ids = np.empty(BLOCK, np.int64)
        self._run(self._joined, self._cell, self._logits, noise, ids)
        own = probabilities_of(ids, self._logits[:-1])
        self._logits[0] = self._logits[-1]
        return ids, own

    def _run(
        self, joined: FloatArray, cell: FloatArray, logits: FloatArray, noise: FloatArray, ids: Ids
    ) -> None:
        text = (joined, cell, logits, noise, self._scale, ids)

        def work(part: int, clocks: Arrivals) -> None:
            self._call(*barrier_arguments(part, clocks), *self._weights, *text)

        self._team.run(self._threads, work)

    def _seconds(self, threads: int) -> float:
        """Returns how long some characters take with so many threads."""
        self._threads = threads
        began = time.perf_counter()
        self._try(TIMED)
        return time.perf_counter() - began

    def _try(self, count: int) -> None:
        """Writes so many characters that nobody reads; the text stays where it is."""
        noise = np.zeros((count, self._logits.shape[1]), np.float32)
        logits = self._logits[: count + 1].copy()
        ids = np.empty(count, np.int64)
        self._run(self._joined.copy(), self._cell.copy(), logits, noise, ids)
