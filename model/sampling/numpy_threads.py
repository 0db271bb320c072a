"""Threads of NumPy's own that share a matrix-vector product: as many as prove faster.

For a text that has the machine to itself. Beside a training the sampler keeps to one thread, for
the others would fight the trainer's. NumPy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from model.kernels.threads import thread_counts
from model.network.snapshot import FloatArray, LstmSnapshot, WeightSnapshot
from model.system.cores import usable_cores
from model.timing import quickest

ROUNDS = 5
REPEATS = 8
"""Passes over all matrices between two looks at the clock."""
ROWS_OF_A_GROUP = 8
LARGEST_HEAD = 400
"""Rows of a head matrix that BLAS leaves to one thread or shares out without a trace."""
LEAST_GAIN = 1.2
"""How much faster several threads must be; they keep as many cores busy."""

Timer = Callable[[int], float]
"""Makes products on so many threads; returns the seconds that it took."""


@contextmanager
def fastest_products(snapshot: WeightSnapshot) -> Iterator[int]:
    """Lets NumPy take the number of threads that proves fastest for products with a vector.

    Args:
        snapshot: whose matrices are to be multiplied.

    Yields:
        The number of threads; before and after, it is what it was.
    """
    blas = ThreadpoolController().select(user_api="blas")
    matrices: list[FloatArray] = []
    if isinstance(snapshot, LstmSnapshot):
        matrices = [*(layer.matrix for layer in snapshot.layers), snapshot.head_matrix]
    products = _Products(matrices)

    def timed(threads: int) -> float:
        with blas.limit(limits=threads):
            return products.seconds()

    threads = fastest_count(numpy_thread_counts(snapshot, usable_cores()), timed)
    with blas.limit(limits=threads):
        yield threads


def numpy_thread_counts(snapshot: WeightSnapshot, cores: int) -> list[int]:
    """Returns the numbers of threads that leave every digit of the products as it is with one.

    BLAS adds up rows in groups of eight; where a thread's share does not consist of whole groups,
    the last digits change, and with them, sooner or later, the text of a seed.

    Args:
        snapshot: whose matrices are to be multiplied.
        cores: the largest number.
    """
    if not isinstance(snapshot, LstmSnapshot) or snapshot.vocabulary_size > LARGEST_HEAD:
        return [1]
    return thread_counts(4 * snapshot.hidden, ROWS_OF_A_GROUP, cores)


def fastest_count(counts: Sequence[int], timer: Timer) -> int:
    """Returns the quickest count; more threads than the first must gain what they cost."""
    return quickest(counts, timer, lambda count: count, rounds=ROUNDS, least_gain=LEAST_GAIN)


class _Products:
    """The products of one character, with made-up operands."""

    def __init__(self, matrices: Sequence[FloatArray]) -> None:
        random = np.random.default_rng(0)
        self._operands = [
            (
                matrix,
                random.standard_normal(matrix.shape[1], np.float32),
                np.empty(len(matrix), np.float32),
            )
            for matrix in matrices
        ]

    def seconds(self) -> float:
        """Returns how long `REPEATS` passes take."""
        began = time.perf_counter()
        for _ in range(REPEATS):
            for matrix, x, out in self._operands:
                np.dot(matrix, x, out)
        return time.perf_counter() - began
