"""The matrix products of a training step alone, by our own compiled core. NumPy, Numba.

Letters: B batch, H hidden.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from model.bench.rows import Implementation, Task
from model.bench.training import (
    PRODUCTS_PER_TIMING,
    THREADS,
    operations_per_character,
    repeated,
)
from model.kernels.amx import configure_tiles, release_tiles
from model.kernels.dtypes import Array, to_bfloat16
from model.kernels.jit import Kernel
from model.kernels.matmul import matmul_of_series
from model.kernels.packing import PANEL, aligned, pack_array, padded_depth, round_up
from model.training.engines import trains_in_bf16


@Kernel
def repeat_matmul(left: Array, packed: Array, out: Array, times: int) -> None:
    """Does a product again and again, as a layer does at each time step."""
    configure_tiles(len(left))
    for n in range(times):
        matmul_of_series(left, packed, out, n % 2 == 1)
    release_tiles()


def packed_products_alone(task: Task) -> Implementation:
    """Returns the limit: only the products [B, H] x [H, 4H], as many as a character needs.

    They are in the precision of training, with a matrix that was packed before. Each thread has a
    part of the batch.
    """
    parts, hidden = max(1, min(THREADS, task.width)), task.hidden
    number = np.dtype(np.uint16 if trains_in_bf16() else np.float32)
    random = np.random.default_rng(0)
    matrix = random.standard_normal((4 * hidden, hidden), np.float32)
    packed = aligned(pack_array(matrix, number))
    rows = task.width // parts

    def left() -> Array:
        values = np.zeros((rows, padded_depth(hidden, number.itemsize)), np.float32)
        values[:, :hidden] = random.standard_normal((rows, hidden), np.float32)
        return aligned(values if number == np.float32 else to_bfloat16(values))

    width = round_up(4 * hidden, PANEL)
    shares = [(left(), aligned(np.zeros((rows, width), np.float32))) for _ in range(parts)]

    def run_matmuls(share: tuple[Array, Array]) -> int:
        repeat_matmul.run(share[0], packed, share[1], PRODUCTS_PER_TIMING)
        return PRODUCTS_PER_TIMING * rows

    def rate(span: float) -> float:
        with ThreadPoolExecutor(parts) as pool:
            rates = pool.map(lambda share: repeated(lambda: run_matmuls(share), span), shares)
            total = sum(rates)
        return total * 8 * hidden**2 / operations_per_character(task)

    return rate
