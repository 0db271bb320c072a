"""A random order of very many numbers."""

from __future__ import annotations

import numpy as np
import pytest
from model_fixtures import TINY_TRAINING

from model.data import batches
from model.data.batches import WindowBatches
from model.data.permutation import LazyPermutation


@pytest.mark.parametrize("count", [1, 2, 3, 5, 16, 17, 1000, 65_537])
def test_every_number_comes_once(count: int) -> None:
    order = LazyPermutation(count, [1, 2])
    assert sorted(order[0:count].tolist()) == list(range(count))


def test_the_order_follows_from_the_seed_and_from_no_cut() -> None:
    order = LazyPermutation(10_000, [1, 2])
    whole = order[0:10_000]
    parts = [LazyPermutation(10_000, [1, 2])[start : start + 77] for start in range(0, 10_000, 77)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(LazyPermutation(10_000, [1, 3])[0:10_000], whole)


def test_the_order_looks_random() -> None:
    count = 100_000
    order = LazyPermutation(count, [5])[0:count]
    places = np.arange(count)
    for lag in (0, 1, 2):
        correlation = np.corrcoef(places[: count - lag], order[lag:])[0, 1]
        assert abs(correlation) < 0.02
    steps = np.corrcoef(order[:-1], order[1:])[0, 1]
    assert abs(steps) < 0.02


def test_a_billion_numbers_take_no_memory() -> None:
    order = LazyPermutation(10**9, [0])
    numbers = order[123_456_789 : 123_456_789 + 128]
    assert len(set(numbers.tolist())) == 128
    assert 0 <= numbers.min() <= numbers.max() < 10**9


def test_windows_of_a_large_text_come_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    monkeypatch.setattr(batches, "MAX_SHUFFLED_WINDOWS", 10)
    training = dataclasses.replace(
        TINY_TRAINING, scoring="last", sequence=4, window_stride=1, batch=7
    )
    ids = np.arange(100, dtype=np.uint8)
    supply = WindowBatches(ids, training)
    firsts = [supply.next().inputs[0] for _ in range(supply.steps_per_epoch)]
    assert not supply.steps_left
    assert sorted(np.concatenate(firsts).tolist()) == list(range(96))
    position = supply.position()
    following = supply.next().inputs
    again = WindowBatches(ids, training)
    again.restore(position)
    assert np.array_equal(again.next().inputs, following)
