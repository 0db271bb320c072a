"""Streams in compiled code: the same texts as NumPy writes, from the same place on."""

from __future__ import annotations

import numpy as np
import pytest
from model_fixtures import VOCABULARY, constant_snapshot
from network_fixtures import make_network, snapshot_of
from noise_by_definition import assert_drawn

from model.config import ModelConfig, SamplingConfig
from model.kernels.splitmix import BLOCK
from model.network.snapshot import LstmSnapshot, WeightSnapshot
from model.sampling import parallel_streams
from model.sampling.compiled_lstm import MIN_HIDDEN, MIN_STREAMS, CompiledDecoder, choose_decoder
from model.sampling.parallel_streams import Decoder, ParallelStreams, StreamBatch
from model.sampling.stepper import SamplerState

SYMBOLS = len(VOCABULARY)


def make_snapshot(hidden: int, layers: int = 1, embedding: int = 4) -> LstmSnapshot:
    config = ModelConfig(hidden=hidden, layers=layers, embedding=embedding)
    # With larger weights a wide network is chaotic: it makes much of the last digit.
    return snapshot_of(make_network(config, SYMBOLS, scale=1.5 / hidden**0.5))


def make_batch(snapshot: LstmSnapshot, streams: int, temperature: float = 1.0) -> StreamBatch:
    return StreamBatch(
        snapshot,
        VOCABULARY,
        sampling=SamplingConfig(temperature=temperature),
        seeds=range(streams),
        prompt="the ",
    )


def begun(snapshot: LstmSnapshot, streams: int, steps: int, temperature: float) -> StreamBatch:
    batch = make_batch(snapshot, streams, temperature)
    for _ in range(steps):
        batch.step()
    return batch


@pytest.mark.parametrize("hidden", [32, 51, 130])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("streams", [8, 17])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_it_goes_on_where_numpy_stopped(
    hidden: int, layers: int, streams: int, temperature: float
) -> None:
    snapshot = make_snapshot(hidden, layers)
    batch = begun(snapshot, streams, 30, temperature)
    team = choose_decoder(snapshot, batch.state(), temperature)
    assert team is not None
    parts = [team.write(count) for count in (1, 40, 3, BLOCK)]
    team.close()
    ids, own = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    expected = [batch.step() for _ in range(44 + BLOCK)]
    assert np.array_equal(ids, np.stack([symbols for symbols, _ in expected]))
    np.testing.assert_allclose(own, np.stack([theirs for _, theirs in expected]), atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_each_character_is_drawn_with_the_noise_of_its_own_place(threads: int) -> None:
    logits = np.linspace(-1, 1, SYMBOLS)
    batch = begun(constant_snapshot(logits), 5, 0, 0.7)
    before = [batch.step()[0] for _ in range(BLOCK + 30)]
    team = CompiledDecoder(constant_snapshot(logits), batch.state(), 0.7, threads=threads)
    after, _ = team.write(BLOCK + 30)
    team.close()
    for seed, ids in enumerate(np.concatenate([before, after]).T):
        assert_drawn(ids.tolist(), logits, seed=seed, temperature=0.7)


@pytest.mark.parametrize("layers", [1, 2])
def test_every_number_of_threads_writes_the_same_texts(layers: int) -> None:
    snapshot = make_snapshot(192, layers, embedding=0)
    found = []
    for threads in (1, 2, 3):
        state = begun(snapshot, 9, 5, 0.8).state()
        team = CompiledDecoder(snapshot, state, 0.8, threads=threads)
        ids, own = team.write(300)
        team.close()
        found.append((ids, own))
    for ids, own in found[1:]:
        assert np.array_equal(ids, found[0][0])
        assert np.array_equal(own, found[0][1])


@pytest.mark.parametrize(
    ("hidden", "streams"),
    [(MIN_HIDDEN - 1, 32), (128, MIN_STREAMS - 1)],
    ids=["small", "few"],
)
def test_what_does_not_suit_is_left_to_numpy(hidden: int, streams: int) -> None:
    snapshot = make_snapshot(hidden)
    state = make_batch(snapshot, streams).state()
    assert choose_decoder(snapshot, state, 1.0) is None


@pytest.mark.parametrize("counts", [[300], [1] * 300, [49, 1, 1, 249], [51, 249]])
@pytest.mark.parametrize("threads", [1, 2])
def test_streams_change_over_at_the_same_character(
    counts: list[int], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel_streams, "NUMPY_CHARACTERS_PER_STREAM", 50)
    snapshot = make_snapshot(64)
    asked: list[tuple[int, int]] = []

    def find(snapshot: WeightSnapshot, state: SamplerState, temperature: float) -> Decoder | None:
        asked.append((state.written, len(state.noises)))
        return parallel_streams.make_compiled_decoder(snapshot, state, temperature)

    def streams(make_decoder: parallel_streams.MakeDecoder | None) -> ParallelStreams:
        return ParallelStreams(
            snapshot,
            VOCABULARY,
            sampling=SamplingConfig(),
            seeds=range(20),
            threads=threads,
            make_decoder=make_decoder,
        )

    changing = streams(find)
    parts = [changing.write(count) for count in counts]
    changing.close()
    ids, own = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    expected_ids, expected_own = streams(None).write(300)
    assert asked == [(50, 20)]
    assert np.array_equal(ids, expected_ids)
    np.testing.assert_allclose(own, expected_own, atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"sampling": SamplingConfig(top_k=3)},
        {"sampling": SamplingConfig(typical=0.7)},
        {"sampling": SamplingConfig(), "window": 4},
    ],
    ids=["top-k", "typical", "window"],
)
def test_what_only_numpy_does_goes_on_with_it(
    settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel_streams, "NUMPY_CHARACTERS_PER_STREAM", 2)

    def find(*_: object) -> Decoder | None:
        raise AssertionError("nobody is asked")

    streams = ParallelStreams(
        make_snapshot(64),
        VOCABULARY,
        seeds=range(9),
        make_decoder=find,
        **settings,  # type: ignore[arg-type]
    )
    assert streams.write(5)[0].shape == (5, 9)
    streams.close()
