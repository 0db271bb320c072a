"""Streams side by side: the texts of single ones, whatever the number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_fixtures import VOCABULARY
from network_fixtures import make_network, snapshot_of

from model.config import ModelConfig, SamplingConfig
from model.sampling import numpy_lstm
from model.sampling.parallel_streams import ParallelStreams, StreamBatch
from model.sampling.stream import CharacterStream

SAMPLINGS = [
    SamplingConfig(),
    SamplingConfig(temperature=0.5),
    SamplingConfig(temperature=0),
    SamplingConfig(top_k=3, min_p=0.1),
    SamplingConfig(temperature=1.5, top_p=0.7),
    SamplingConfig(temperature=0.8, typical=0.6),
]


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("embedding", [0, 4])
@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_batch_writes_what_single_streams_write(
    layers: int, embedding: int, window: int | None, sampling: SamplingConfig
) -> None:
    network = make_network(ModelConfig(hidden=12, layers=layers, embedding=embedding), 17)
    vocabulary = type(VOCABULARY).from_symbols([chr(97 + symbol) for symbol in range(17)])
    settings = {"sampling": sampling, "prompt": "abc", "window": window}
    seeds = [3, 4, 99, 2**62]
    batch = StreamBatch(snapshot_of(network), vocabulary, seeds=seeds, **settings)  # type: ignore[arg-type]
    ids, own = zip(*(batch.step() for _ in range(300)), strict=True)
    for place, seed in enumerate(seeds):
        single = CharacterStream(snapshot_of(network), vocabulary, seed=seed, **settings)  # type: ignore[arg-type]
        expected = [single.write() for _ in range(300)]
        assert [int(step[place]) for step in ids] == [symbol for symbol, _ in expected]
        assert [float(step[place]) for step in own] == pytest.approx(
            [probability for _, probability in expected], abs=1e-5
        )


def test_fast_and_full_steps_write_the_same() -> None:
    network = make_network(ModelConfig(hidden=12), len(VOCABULARY))
    fast, full = (
        CharacterStream(snapshot_of(network), VOCABULARY, sampling=SamplingConfig(), seed=1)
        for _ in range(2)
    )
    for _ in range(300):
        symbol, probability = fast.write()
        written = full.step()
        assert VOCABULARY.decode([symbol]) == written.character
        assert probability == pytest.approx(written.probability, abs=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 3, 50])
@pytest.mark.parametrize("streams", [1, 2, 13])
def test_the_number_of_threads_changes_nothing(threads: int, streams: int) -> None:
    snapshot = snapshot_of(make_network(ModelConfig(hidden=12), len(VOCABULARY)))
    seeds = range(streams)
    shared = ParallelStreams(
        snapshot, VOCABULARY, sampling=SamplingConfig(), seeds=seeds, threads=threads
    )
    assert len(shared) == streams
    ids = np.concatenate([shared.write(count)[0] for count in (1, 20, 300)])
    alone = StreamBatch(snapshot, VOCABULARY, sampling=SamplingConfig(), seeds=seeds)
    assert np.array_equal(ids, np.stack([alone.step()[0] for _ in range(321)]))


@given(
    rows=st.integers(1, 300),
    inner=st.integers(1, 40),
    streams=st.integers(1, 40),
    small=st.sampled_from([1, 1_000, 20_000, 1_000_000]),
)
def test_a_product_in_pieces_is_the_product(
    rows: int, inner: int, streams: int, small: int
) -> None:
    random = np.random.default_rng(0)
    matrix = random.standard_normal((rows, inner), np.float32)
    columns = random.standard_normal((inner, streams), np.float32)
    out = np.full((rows, streams), np.nan, np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_lstm, "MAX_UNPACKED_PRODUCT", small)
        numpy_lstm.batch_matmul(matrix, columns, out)
    np.testing.assert_allclose(out, matrix @ columns, rtol=1e-4, atol=1e-4)
