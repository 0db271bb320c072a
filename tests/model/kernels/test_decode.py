"""Decoding in float32 and in bfloat16: the texts that NumPy with the same rounding writes."""

from __future__ import annotations

import dataclasses
from contextlib import closing

import numpy as np
import numpy.typing as npt
import pytest
from model_fixtures import VOCABULARY, constant_snapshot
from network_fixtures import make_network, snapshot_of
from noise_by_definition import assert_drawn

from corpus.vocabulary import Vocabulary
from model.compute.team import ARRIVALS_WIDTH
from model.config import NORM_EPSILON, ModelConfig, SamplingConfig
from model.kernels.cpu import HAS_BFLOAT16
from model.kernels.decode import decode_block
from model.kernels.dtypes import to_bfloat16
from model.kernels.splitmix import BLOCK
from model.kernels.threads import barrier_arguments
from model.network.snapshot import FloatArray, LstmSnapshot
from model.sampling.compiled_lstm import (
    CompiledDecoder,
    ShardedDecoder,
    choose_decoder,
    operand_dtype,
)
from model.sampling.sampler import Sampler, StreamBatch
from model.sampling.sampler_state import SamplerState

SYMBOLS = len(VOCABULARY)
WARM = SamplingConfig(temperature=0.8)

both_kinds = pytest.mark.parametrize("kind", ["lstm", "rms-lstm"])
both_precisions = pytest.mark.parametrize("precision", ["fp32", "bf16"])


def make_snapshot(
    hidden: int,
    layers: int = 1,
    *,
    precision: str = "fp32",
    embedding: int = 4,
    kind: str = "lstm",
) -> LstmSnapshot:
    config = ModelConfig(network=kind, hidden=hidden, layers=layers, embedding=embedding)
    # With larger weights a wide network is chaotic: it makes much of the last digit.
    network = make_network(config, SYMBOLS, scale=1.5 / hidden**0.5)
    return dataclasses.replace(snapshot_of(network), precision=precision)


def make_batch(snapshot: LstmSnapshot, streams: int, sampling: SamplingConfig) -> StreamBatch:
    return StreamBatch(snapshot, VOCABULARY, sampling=sampling, seeds=range(streams), prompt="the ")


def begun(snapshot: LstmSnapshot, streams: int, sampling: SamplingConfig = WARM) -> SamplerState:
    """Returns where texts stand after some characters."""
    batch = make_batch(snapshot, streams, sampling)
    for _ in range(5):
        batch.step()
    return batch.state()


def logits_before(
    snapshot: LstmSnapshot, state: SamplerState, ids: npt.NDArray[np.int64]
) -> FloatArray:
    """Returns the logits [N, S, V] that the characters [N, S] are drawn from, by NumPy."""

    def rounded(numbers: FloatArray) -> FloatArray:
        if operand_dtype(snapshot) == np.float32:
            return numbers
        return (to_bfloat16(numbers).astype(np.uint32) << 16).view(np.float32)

    matrices = [rounded(layer.matrix) for layer in snapshot.layers]
    head = rounded(snapshot.head_matrix)
    hidden = [rounded(layer.T.copy()) for layer in state.carried[0]]
    cell = [layer.T.copy() for layer in state.carried[1]]
    found = [state.logits]
    for symbols in ids[:-1]:
        below = None
        for place, layer in enumerate(snapshot.layers):
            x = hidden[place] if below is None else np.concatenate([below, hidden[place]], axis=1)
            sums = x @ matrices[place].T + (0 if place else snapshot.input_table[symbols])
            if layer.gain is not None:
                mean = np.square(sums).mean(axis=1, keepdims=True)
                sums = sums / np.sqrt(mean + NORM_EPSILON) * layer.gain
            sums = sums if layer.bias is None else sums + layer.bias
            i, f, o, g = np.split(np.tanh(sums), 4, axis=1)
            cell[place] = (f / 2 + 0.5) * cell[place] + (i / 2 + 0.5) * g
            below = hidden[place] = rounded((o / 2 + 0.5) * np.tanh(cell[place]))
        assert below is not None
        found.append(below @ head.T + snapshot.head_bias)
    return np.stack(found)


@both_precisions
@pytest.mark.parametrize(
    ("kind", "hidden"),
    [*(("lstm", hidden) for hidden in (2, 7, 34, 96, 130)), ("rms-lstm", 7), ("rms-lstm", 130)],
)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("streams", [1, 5, 17])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_it_draws_from_numpys_logits(
    hidden: int, layers: int, streams: int, temperature: float, precision: str, kind: str
) -> None:
    snapshot = make_snapshot(hidden, layers, precision=precision, kind=kind)
    sampling = SamplingConfig(temperature=temperature)
    state = begun(snapshot, streams, sampling)
    team = CompiledDecoder(snapshot, state, sampling, threads=1)
    parts = [team.write(count) for count in (1, 20, 39)]
    team.close()
    ids, own = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    logits = logits_before(snapshot, state, ids)
    # Now and then a sum that is rounded differently turns the last digit of a bfloat16.
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    chosen = np.take_along_axis(weights, ids[:, :, None], axis=2)[:, :, 0]
    np.testing.assert_allclose(own, chosen / weights.sum(axis=2), atol=2e-3)
    scores = logits
    if temperature:
        noise = [[noise.row(state.written + n) for noise in state.noises] for n in range(60)]
        scores = logits / np.float32(temperature) + np.array(noise)
    reached = np.take_along_axis(scores, ids[:, :, None], axis=2)[:, :, 0]
    assert (reached >= scores.max(axis=2) - 0.02).all()


@both_precisions
@pytest.mark.parametrize(("hidden", "layers", "embedding"), [(192, 1, 0), (101, 2, 4)])
@pytest.mark.parametrize("streams", [1, 9])
@both_kinds
def test_every_number_of_threads_writes_the_same_texts(
    hidden: int, layers: int, embedding: int, streams: int, precision: str, kind: str
) -> None:
    snapshot = make_snapshot(hidden, layers, precision=precision, embedding=embedding, kind=kind)
    found = []
    for threads in (1, 2, 3):
        team = CompiledDecoder(snapshot, begun(snapshot, streams), WARM, threads=threads)
        found.append(team.write(300))
        team.close()
    for ids, own in found[1:]:
        assert np.array_equal(ids, found[0][0])
        assert np.array_equal(own, found[0][1])


@both_precisions
def test_a_thread_may_have_no_symbol(precision: str) -> None:
    symbols = Vocabulary.from_symbols("a")
    network = make_network(ModelConfig(hidden=32, embedding=4), len(symbols))
    snapshot = dataclasses.replace(snapshot_of(network), precision=precision)
    batch = StreamBatch(snapshot, symbols, sampling=WARM, seeds=range(2), prompt="a")
    batch.step()
    team = CompiledDecoder(snapshot, batch.state(), WARM, threads=2)
    ids, own = team.write(30)
    team.close()
    assert (ids == 0).all()
    assert (own == 1).all()


@both_precisions
@both_kinds
def test_a_text_does_not_depend_on_its_neighbours(precision: str, kind: str) -> None:
    snapshot = make_snapshot(64, layers=2, precision=precision, kind=kind)
    state = begun(snapshot, 20)
    whole = CompiledDecoder(snapshot, state, WARM)
    expected = whole.write(200)
    whole.close()
    for streams in (slice(1), slice(3, 8), slice(8, 16), slice(7, 19)):
        team = CompiledDecoder(snapshot, state.of_streams(streams), WARM)
        for found, all_of_it in zip(team.write(200), expected, strict=True):
            assert np.array_equal(np.asarray(found), np.asarray(all_of_it)[:, streams])
        team.close()


@both_precisions
@both_kinds
def test_streams_are_shared_out_among_teams(precision: str, kind: str) -> None:
    snapshot = make_snapshot(64, precision=precision, kind=kind)
    together = CompiledDecoder(snapshot, begun(snapshot, 19), WARM)
    apart = ShardedDecoder(snapshot, begun(snapshot, 19), WARM, 2)
    for count in (1, BLOCK, 30):
        expected, found = together.write(count), apart.write(count)
        assert np.array_equal(found[0], expected[0])
        assert np.array_equal(found[1], expected[1])
    together.close()
    apart.close()


@pytest.mark.parametrize(
    ("precision", "has_unit", "small", "least"),
    [
        ("bf16", False, 2**20, 8),
        ("bf16", True, 2**20, 16),
        ("bf16", True, 1000, 64),
        ("fp32", True, 2**20, 8),
        ("fp32", False, 1000, 64),
    ],
)
def test_many_streams_have_teams_of_their_own(
    precision: str, has_unit: bool, small: int, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.sampling.compiled_lstm.usable_cores", lambda: 2)
    monkeypatch.setattr("model.sampling.compiled_lstm.HAS_AMX", has_unit)
    monkeypatch.setattr("model.sampling.compiled_lstm.L2_WEIGHT_BYTES", small)
    monkeypatch.setattr("model.sampling.compiled_lstm.HAS_BFLOAT16", True)
    snapshot = make_snapshot(64, precision=precision)
    for streams, kind in ((2 * least, ShardedDecoder), (2 * least - 1, CompiledDecoder)):
        found = choose_decoder(snapshot, begun(snapshot, streams), WARM)
        assert type(found) is kind
        found.close()


@pytest.mark.skipif(not HAS_BFLOAT16, reason="no products of bfloat16 at this SIMD level")
def test_a_long_text_goes_on_in_bfloat16() -> None:
    snapshot = make_snapshot(64, precision="bf16")

    def written(snapshot: LstmSnapshot, most: int) -> list[float]:
        own: list[float] = []
        sampler = Sampler(snapshot, VOCABULARY, sampling=WARM, seeds=[3], numpy_characters=BLOCK)
        with closing(sampler):
            while len(own) < 2 * BLOCK:
                own += sampler.write(min(most, 2 * BLOCK - len(own)))[1][:, 0].tolist()
        return own

    own = written(snapshot, 100)
    assert own == written(snapshot, 7)
    plain = written(dataclasses.replace(snapshot, precision="fp32"), 100)
    assert own[:BLOCK] == plain[:BLOCK]
    assert own[BLOCK:] != plain[BLOCK:]


def test_what_was_trained_in_float32_is_written_in_float32() -> None:
    assert operand_dtype(make_snapshot(64)) == np.float32
    expected = np.uint16 if HAS_BFLOAT16 else np.float32
    assert operand_dtype(make_snapshot(65, precision="bf16")) == expected


@pytest.mark.parametrize(
    ("kind", "hidden"), [("lstm", 32), ("lstm", 51), ("lstm", 130), ("rms-lstm", 51)]
)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("streams", [1, 17])
@pytest.mark.parametrize(
    "sampling",
    [
        SamplingConfig(temperature=0.0),
        SamplingConfig(temperature=0.7),
        SamplingConfig(top_k=5, min_p=0.05),
        SamplingConfig(typical=0.7),
        SamplingConfig(temperature=1e-5),
    ],
    ids=["greedy", "plain", "truncated", "typical", "hardly warm"],
)
def test_it_goes_on_where_numpy_stopped(
    hidden: int, layers: int, streams: int, sampling: SamplingConfig, kind: str
) -> None:
    snapshot = make_snapshot(hidden, layers, kind=kind)
    batch = make_batch(snapshot, streams, sampling)
    for _ in range(30):
        batch.step()
    team = choose_decoder(snapshot, batch.state(), sampling)
    parts = [team.write(count) for count in (1, 40, 3, BLOCK)]
    team.close()
    ids, own = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    expected = [batch.step() for _ in range(44 + BLOCK)]
    assert np.array_equal(ids, np.stack([symbols for symbols, _ in expected]))
    np.testing.assert_allclose(own, np.stack([theirs for _, theirs in expected]), atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_each_character_is_drawn_with_the_noise_of_its_own_place(threads: int) -> None:
    logits, sampling = np.linspace(-1, 1, SYMBOLS), SamplingConfig(temperature=0.7)
    batch = make_batch(constant_snapshot(logits), 5, sampling)
    before = [batch.step()[0] for _ in range(BLOCK + 30)]
    team = CompiledDecoder(constant_snapshot(logits), batch.state(), sampling, threads=threads)
    after, _ = team.write(BLOCK + 30)
    team.close()
    for seed, ids in enumerate(np.concatenate([before, after]).T):
        assert_drawn(ids.tolist(), logits, seed=seed, temperature=0.7)


def test_a_rank_does_not_wait_for_one_that_has_failed() -> None:
    snapshot = make_snapshot(12)
    decoder = CompiledDecoder(snapshot, begun(snapshot, 1), WARM, threads=2)
    arrivals = np.zeros((3, ARRIVALS_WIDTH), np.int64)
    arrivals[2] = 1
    weights, sums = decoder._shares[1]
    decode_block.run(
        *barrier_arguments(1, arrivals),
        *decoder._biases,
        weights,
        sums,
        decoder._operands,
        decoder._cell,
        np.zeros((BLOCK + 1, 1, SYMBOLS), np.float32),
        np.zeros((BLOCK, 1, SYMBOLS), np.float32),
        np.float32(1),
        np.empty(0, np.float64),
        None,
        np.empty((BLOCK, 1), np.int64),
        np.empty((BLOCK, 1), np.float32),
    )
    decoder.close()
    assert arrivals[:2, 0].tolist() == [0, 2 * BLOCK], (
        "it has passed both barriers of each character"
    )
