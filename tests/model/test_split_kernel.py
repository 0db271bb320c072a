"""Streams on the matrix unit: as exact as float32, and the same texts from the same place on."""

from __future__ import annotations

import numpy as np
import pytest
from model_fixtures import VOCABULARY
from network_fixtures import make_network, snapshot_of

from model import batch_sampler
from model.batch_sampler import BatchKernel, ParallelStreams
from model.block_product import block_product
from model.config import ModelConfig, SamplingConfig
from model.snapshot import WeightSnapshot
from model.split_kernel import LEAST_STREAMS, LEAST_UNITS, SplitKernel, faster_kernel

needs_unit = pytest.mark.skipif(block_product() is None, reason="no matrix unit for bfloat16")
SYMBOLS = len(VOCABULARY)


def make_snapshot(hidden: int, layers: int = 1, seed: int = 0) -> WeightSnapshot:
    config = ModelConfig(hidden=hidden, layers=layers, embedding=4)
    # With larger weights a wide network is chaotic: it makes much of the last digit.
    return snapshot_of(make_network(config, SYMBOLS, seed=seed, scale=1.5 / hidden**0.5))


def make_ids(count: int, streams: int) -> list[np.ndarray[tuple[int], np.dtype[np.intp]]]:
    random = np.random.default_rng(count)
    return [random.integers(0, SYMBOLS, streams) for _ in range(count)]


@needs_unit
@pytest.mark.parametrize("hidden", [32, 50, 130])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("streams", [8, 17])
def test_it_goes_on_where_numpy_stopped(hidden: int, layers: int, streams: int) -> None:
    snapshot = make_snapshot(hidden, layers)
    kernel = BatchKernel(snapshot, streams)
    kernel.prime(make_ids(30, streams))
    go_on = faster_kernel(snapshot, streams)
    assert go_on is not None
    faster = go_on(snapshot, *kernel.state)
    for _ in range(3):
        ids = make_ids(40, streams)
        ours, theirs = faster.prime(ids), kernel.prime(ids)
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)


@needs_unit
def test_other_weights_and_a_cold_start() -> None:
    first, second = make_snapshot(40, 2), make_snapshot(40, 2, seed=1)
    kernel = BatchKernel(first, 9)
    faster = SplitKernel(first, *kernel.state)
    for one in (kernel, faster):
        one.prime(make_ids(5, 9))
        one.adopt(second)
    np.testing.assert_allclose(
        faster.prime(make_ids(9, 9)), kernel.prime(make_ids(9, 9)), atol=1e-4
    )
    for one in (kernel, faster):
        one.reset()
    np.testing.assert_allclose(
        faster.prime(make_ids(1, 9)), kernel.prime(make_ids(1, 9)), atol=1e-4
    )


@pytest.mark.parametrize(
    ("hidden", "streams"),
    [(LEAST_UNITS + 1, 32), (LEAST_UNITS - 2, 32), (128, LEAST_STREAMS - 1)],
    ids=["odd", "small", "few"],
)
def test_what_does_not_suit_is_left_to_numpy(hidden: int, streams: int) -> None:
    assert faster_kernel(make_snapshot(hidden), streams) is None


def test_without_a_matrix_unit_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.split_kernel.block_product", lambda: None)
    assert faster_kernel(make_snapshot(128), 32) is None


@pytest.mark.parametrize("counts", [[300], [1] * 300, [49, 1, 1, 249], [51, 249]])
@pytest.mark.parametrize("threads", [1, 2])
def test_streams_change_over_at_the_same_character(
    counts: list[int], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_sampler, "BY_NUMPY", 50)
    snapshot = make_snapshot(64)
    asked: list[int] = []

    def find(snapshot: WeightSnapshot, streams: int) -> batch_sampler.GoOn | None:
        asked.append(streams)
        return faster_kernel(snapshot, streams)

    def streams(find_faster: object) -> ParallelStreams:
        return ParallelStreams(
            snapshot,
            VOCABULARY,
            sampling=SamplingConfig(),
            seeds=range(20),
            threads=threads,
            find_faster=find_faster,  # type: ignore[arg-type]
        )

    changing = streams(find)
    parts = [changing.write(count) for count in counts]
    ids, own = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    expected_ids, expected_own = streams(None).write(300)
    assert asked == [20 // threads]
    assert np.array_equal(ids, expected_ids)
    np.testing.assert_allclose(own, expected_own, atol=1e-4)
