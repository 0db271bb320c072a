"""The number of BLAS threads with which NumPy multiplies a matrix by a vector fastest. NumPy.

For a text that has the machine to itself. Beside a training the sampler keeps to one thread,
because more would compete with the trainer's.
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
from model.timing import fastest

ROUNDS = 5
"""Timings of each thread count."""
PASSES_PER_TIMING = 8
"""Passes over all matrices."""
BLAS_ROW_GROUP = 8
"""Rows that BLAS adds up together."""
MAX_HEAD_ROWS = 400
"""Rows of the head up to which several BLAS threads return the same bits as one."""
MIN_SPEEDUP = 1.2
"""Speed-up for which several threads are worth the cores that they keep busy."""

Timer = Callable[[int], float]
"""Takes a number of threads; returns the seconds that some work took with them."""


@contextmanager
def fastest_products(snapshot: WeightSnapshot) -> Iterator[int]:
    """Limits NumPy to the number of threads that is fastest for products with a vector.

    Args:
        snapshot: its matrices are timed.

    Yields:
        The number of threads. On exit the former limit is restored.
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
    """Returns the thread counts with which products have the same bits as with one thread.

    BLAS adds up rows in groups of eight. If a thread's share is not made of whole groups, the last
    digits change, and sooner or later the text of a seed does.

    Args:
        snapshot: its matrices are multiplied.
        cores: the largest count.
    """
    if not isinstance(snapshot, LstmSnapshot) or snapshot.vocabulary_size > MAX_HEAD_ROWS:
        return [1]
    rows = 4 * snapshot.hidden
    counts = thread_counts(rows, BLAS_ROW_GROUP, cores)
    return [count for count in counts if rows % (count * BLAS_ROW_GROUP) == 0]


def fastest_count(counts: Sequence[int], timer: Timer) -> int:
    """Returns the fastest count; others than the first must be `MIN_SPEEDUP` times as fast."""
    return fastest(counts, timer, lambda count: count, rounds=ROUNDS, min_speedup=MIN_SPEEDUP)


class _Products:
    """The matrix-vector products of one character, with random vectors."""

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
        """Returns the seconds of `PASSES_PER_TIMING` passes over all matrices."""
        began = time.perf_counter()
        for _ in range(PASSES_PER_TIMING):
            for matrix, x, out in self._operands:
                np.dot(matrix, x, out)
        return time.perf_counter() - began
