"""Threads for products with a vector: what wins, what it changes, what it leaves."""

from __future__ import annotations

import numpy as np
import pytest
from model_fixtures import make_snapshot, random_weights
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from model.config import ModelConfig
from model.network.snapshot import LstmSnapshot
from model.sampling import numpy_threads
from model.sampling.numpy_threads import fastest_count, fastest_products, numpy_thread_counts


def snapshot_of_shape(model: ModelConfig, symbols: int) -> LstmSnapshot:
    return LstmSnapshot.from_weights(random_weights(model, symbols), step=0)


def blas_threads() -> set[int]:
    return {int(pool["num_threads"]) for pool in ThreadpoolController().info()
            if pool["user_api"] == "blas"}  # fmt: skip


def test_several_threads_must_gain_to_win() -> None:
    assert fastest_count([1, 4], {1: 1.0, 4: 0.5}.__getitem__) == 4
    assert fastest_count([1, 4], {1: 1.0, 4: 0.95}.__getitem__) == 1
    assert fastest_count([1, 4], {1: 1.0, 4: 3.0}.__getitem__) == 1


def test_a_single_choice_is_not_measured() -> None:
    def timer(threads: int) -> float:
        raise AssertionError(threads)

    assert fastest_count([1], timer) == 1


def test_a_slow_first_round_does_not_count() -> None:
    seconds = {1: iter([9.0, *[1.0] * 9]), 2: iter([0.1, *[2.0] * 9])}
    assert fastest_count([1, 2], lambda count: next(seconds[count])) == 1


@pytest.mark.parametrize("gain", [1.0, 1e9])
def test_the_number_holds_within_and_is_put_back(
    gain: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numpy_threads, "MIN_SPEEDUP", gain)
    monkeypatch.setattr("model.sampling.numpy_threads.usable_cores", lambda: 2)
    before = blas_threads()
    with fastest_products(make_snapshot()) as threads:
        assert blas_threads() == {threads}
        assert threads == 1 or gain == 1
    assert blas_threads() == before


@pytest.mark.parametrize(("width", "symbols"), [(8, 13), (100, 65), (256, 200), (512, 399)])
def test_a_product_does_not_depend_on_the_number_of_threads(width: int, symbols: int) -> None:
    snapshot = snapshot_of_shape(ModelConfig(hidden=width, layers=2), symbols)
    blas = ThreadpoolController().select(user_api="blas")
    counts = numpy_thread_counts(snapshot, 8)
    assert len(counts) > 1
    for matrix in (*(layer.matrix for layer in snapshot.layers), snapshot.head_matrix):
        x = np.random.default_rng(width).standard_normal(matrix.shape[1], np.float32)
        products = []
        for threads in counts:
            with blas.limit(limits=threads):
                products.append(np.dot(matrix, x))
        assert all(np.array_equal(products[0], other) for other in products[1:])


def test_shares_that_would_change_a_digit_are_not_possible() -> None:
    assert numpy_thread_counts(snapshot_of_shape(ModelConfig(hidden=64), 13), 6) == [1, 2, 4]
    assert numpy_thread_counts(snapshot_of_shape(ModelConfig(hidden=10), 13), 8) == [1]
    assert numpy_thread_counts(snapshot_of_shape(ModelConfig(hidden=64), 401), 8) == [1]
