"""A decoder of one text in float32, in compiled code on several threads. NumPy; Numba when made.

Letters: V vocabulary, H hidden, L layers, N characters.
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np
import numpy.typing as npt

from model.kernels.splitmix import BLOCK
from model.kernels.threads import Arrivals, Team, barrier_arguments, thread_counts
from model.network.snapshot import FloatArray, LstmSnapshot
from model.sampling.distribution import probabilities_of
from model.sampling.numpy_threads import fastest_count
from model.sampling.stepper import SamplerState
from model.system.cores import usable_cores

TEXT_UNITS_PER_THREAD: Final = 32
"""A thread has a multiple of this many hidden units."""
TIMED_CHARACTERS: Final = BLOCK
"""Characters with which a thread count is timed. They take some milliseconds, because the system
may wake threads on one core and moves them apart only after a while."""

Ids = npt.NDArray[np.int64]


class CompiledTextDecoder:
    """Decodes one text in float32; its threads share the hidden units."""

    def __init__(
        self,
        snapshot: LstmSnapshot,
        state: SamplerState,
        temperature: float,
        *,
        threads: int | None = None,
    ) -> None:
        """Compiles the kernel or loads it from the disk, and times thread counts.

        Args:
            snapshot: the weights.
            state: of the one text, at the beginning of a block of the noise.
            temperature: of the draws; 0 always draws the likeliest character.
            threads: number of threads; None for the fastest.
        """
        from model.kernels.decode import decode_text  # noqa: PLC0415 - Numba: see above

        self._kernel = decode_text.run
        self._noise, self._block_number = state.noises[0], state.written // BLOCK
        self._scale = np.float32(1 / temperature if temperature else 1)
        self._is_greedy = temperature == 0
        hidden, cell = (part[..., 0] for part in state.carried)
        layers, width = hidden.shape
        # In turns before and after a character: of each layer the output below and the own state.
        self._joined = np.zeros((2, layers, 2 * width), np.float32)
        self._joined[0, :, width:] = hidden
        self._cell = cell.copy()
        self._logits = np.empty((BLOCK + 1, snapshot.vocabulary_size), np.float32)
        self._logits[0] = state.logits[0]
        self._weights = _weights(snapshot)
        counts = thread_counts(width, TEXT_UNITS_PER_THREAD, usable_cores())
        self._team = Team(threads or counts[-1])
        self._threads = 1
        self._unread: tuple[Ids, FloatArray] | None = None
        self._try(TIMED_CHARACTERS)
        self._threads = threads or fastest_count(counts, self._seconds)

    def write(self, most: int) -> tuple[Ids, FloatArray]:
        """Writes 1 to ``most`` characters; returns ids and probabilities, each [N]."""
        if self._unread is None:
            self._unread = self._next_block()
        ids, probabilities = self._unread
        self._unread = (ids[most:], probabilities[most:]) if most < len(ids) else None
        return ids[:most], probabilities[:most]

    def close(self) -> None:
        """Ends the threads."""
        self._team.close()

    def _next_block(self) -> tuple[Ids, FloatArray]:
        noise = self._noise.block(self._block_number)
        self._block_number += 1
        if self._is_greedy:
            noise = np.zeros_like(noise)
        ids = np.empty(BLOCK, np.int64)
        self._run(self._joined, self._cell, self._logits, noise, ids)
        probabilities = probabilities_of(ids, self._logits[:-1])
        self._logits[0] = self._logits[-1]
        return ids, probabilities

    def _run(
        self, joined: FloatArray, cell: FloatArray, logits: FloatArray, noise: FloatArray, ids: Ids
    ) -> None:
        text = (joined, cell, logits, noise, self._scale, ids)

        def work(rank: int, arrivals: Arrivals) -> None:
            self._kernel(*barrier_arguments(rank, arrivals), *self._weights, *text)

        self._team.run(self._threads, work)

    def _seconds(self, threads: int) -> float:
        """Returns the seconds that some characters take with a number of threads."""
        self._threads = threads
        began = time.perf_counter()
        self._try(TIMED_CHARACTERS)
        return time.perf_counter() - began

    def _try(self, count: int) -> None:
        """Decodes some characters from copies of the state, and drops them."""
        noise = np.zeros((count, self._logits.shape[1]), np.float32)
        logits = self._logits[: count + 1].copy()
        ids = np.empty(count, np.int64)
        self._run(self._joined.copy(), self._cell.copy(), logits, noise, ids)


def _weights(snapshot: LstmSnapshot) -> tuple[FloatArray, ...]:
    """Returns the weights in the order of the kernel's parameters."""
    upper_layers, width = snapshot.layers[1:], snapshot.hidden
    matrices = np.empty((len(upper_layers), 4 * width, 2 * width), np.float32)
    biases = np.empty((len(upper_layers), 4 * width), np.float32)
    for place, layer in enumerate(upper_layers):
        matrices[place], biases[place] = layer.matrix, layer.bias
    return (
        snapshot.input_table,
        snapshot.layers[0].matrix,
        matrices,
        biases,
        snapshot.head_matrix,
        snapshot.head_bias,
    )
