"""What threads share of the weights' gradients."""

from __future__ import annotations

import numpy as np
import pytest

from model.compute.team import ARRIVALS_WIDTH, Arrivals, Team
from model.kernels.matmul import COLUMNS_PER_PASS
from model.kernels.packing import aligned, transposed_row_words
from model.kernels.sequence import weight_gradients
from model.kernels.threads import barrier_arguments

STEPS, BATCH, HIDDEN, SYMBOLS = 5, 3, 2 * COLUMNS_PER_PASS // 4 + 3, 4
ROWS = 4 * HIDDEN


class Gradients:
    """Operands of `weight_gradients`, and its results before it has run: NaN."""

    def __init__(self) -> None:
        draw = np.random.default_rng(0)
        self.d_gates = draw.standard_normal((STEPS, BATCH, ROWS)).astype(np.float32)
        self.hiddens = draw.standard_normal((STEPS + 1, BATCH, HIDDEN)).astype(np.float32)
        self.ids = draw.integers(0, SYMBOLS, (STEPS, BATCH))
        words = HIDDEN * transposed_row_words(STEPS * BATCH, 4)
        self.transposed = aligned(np.zeros(words, np.uint32))
        self.matrix = np.full((ROWS, HIDDEN), np.nan, np.float32)
        self.table = np.full((SYMBOLS, ROWS), np.nan, np.float32)

    def run(self, rank: int, arrivals: Arrivals) -> None:
        operands = self.d_gates, self.hiddens, self.ids, self.transposed
        weight_gradients.run(*barrier_arguments(rank, arrivals), *operands, self.matrix, self.table)

    @property
    def expected_matrix(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        product: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
        product = np.einsum("tbg,tbh->gh", self.d_gates, self.hiddens[:-1])
        return product

    @property
    def expected_table(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        table = np.zeros_like(self.table)
        np.add.at(table, self.ids.reshape(-1), self.d_gates.reshape(-1, ROWS))
        return table


@pytest.mark.parametrize("claimed", [0, 1, 2, 3, 4, 9])
def test_a_thread_computes_what_no_other_has_claimed(claimed: int) -> None:
    gradients, arrivals = Gradients(), np.zeros((2, ARRIVALS_WIDTH), np.int64)
    arrivals[0, 1] = claimed
    gradients.run(0, arrivals)
    others = min(ROWS, max(0, claimed - 1) * COLUMNS_PER_PASS)
    assert np.isnan(gradients.matrix[:others]).all()
    np.testing.assert_allclose(
        gradients.matrix[others:], gradients.expected_matrix[others:], rtol=1e-4, atol=1e-5
    )
    if claimed:
        assert np.isnan(gradients.table).all()
    else:
        np.testing.assert_allclose(gradients.table, gradients.expected_table, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [2, 3])
def test_threads_leave_nothing_out(size: int) -> None:
    alone, together, team = Gradients(), Gradients(), Team(size)
    alone.run(0, np.zeros((2, ARRIVALS_WIDTH), np.int64))
    team.run(size, together.run)
    team.close()
    np.testing.assert_array_equal(together.matrix, alone.matrix)
    np.testing.assert_array_equal(together.table, alone.table)
