"""Writing in bfloat16 as in training: the texts that plain NumPy with the same rounding writes."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from model_fixtures import VOCABULARY
from network_fixtures import make_network, snapshot_of

from model.config import ModelConfig, SamplingConfig
from model.kernels.cpu import HAS_BFLOAT16
from model.kernels.dtypes import to_bfloat16
from model.kernels.splitmix import BLOCK
from model.network.snapshot import FloatArray, LstmSnapshot
from model.sampling.compiled_lstm import (
    CompiledDecoder,
    ShardedDecoder,
    choose_decoder,
    decodes_in_bfloat16,
)
from model.sampling.long_text import LongText
from model.sampling.parallel_streams import StreamBatch
from model.sampling.stepper import SamplerState
from model.sampling.stream import CharacterStream

pytestmark = pytest.mark.skipif(not HAS_BFLOAT16, reason="no products of pairs in this processor")

SYMBOLS = len(VOCABULARY)


def make_snapshot(hidden: int, layers: int = 1, symbols: int = SYMBOLS) -> LstmSnapshot:
    config = ModelConfig(hidden=hidden, layers=layers, embedding=4)
    network = make_network(config, symbols, scale=1.5 / hidden**0.5)
    return dataclasses.replace(snapshot_of(network), precision="bf16")


def begun(snapshot: LstmSnapshot, streams: int, temperature: float) -> SamplerState:
    """Returns where texts stand after some characters."""
    batch = StreamBatch(
        snapshot,
        VOCABULARY,
        sampling=SamplingConfig(temperature=temperature),
        seeds=range(streams),
        prompt="the ",
    )
    for _ in range(5):
        batch.step()
    return batch.state()


def rounded(numbers: FloatArray) -> FloatArray:
    return (to_bfloat16(numbers).astype(np.uint32) << 16).view(np.float32)


def logits_before(
    snapshot: LstmSnapshot, state: SamplerState, ids: npt.NDArray[np.int64]
) -> FloatArray:
    """Returns the logits [N, S, V] that the characters [N, S] are drawn from, by NumPy."""
    matrices = [rounded(layer.matrix) for layer in snapshot.layers]
    head = rounded(snapshot.head_matrix)
    hidden = [rounded(layer.T.copy()) for layer in state.carried[0]]
    cell = [layer.T.copy() for layer in state.carried[1]]
    found = [state.logits]
    for symbols in ids[:-1]:
        below = None
        for place, layer in enumerate(snapshot.layers):
            x = hidden[place] if below is None else np.concatenate([below, hidden[place]], axis=1)
            added = snapshot.input_table[symbols] if layer.bias is None else layer.bias
            i, f, o, g = np.split(np.tanh(x @ matrices[place].T + added), 4, axis=1)
            cell[place] = (f / 2 + 0.5) * cell[place] + (i / 2 + 0.5) * g
            below = hidden[place] = rounded((o / 2 + 0.5) * np.tanh(cell[place]))
        assert below is not None
        found.append(below @ head.T + snapshot.head_bias)
    return np.stack(found)


@pytest.mark.parametrize("hidden", [2, 34, 96, 130])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("streams", [1, 5, 17])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_it_draws_from_numpys_logits(
    hidden: int, layers: int, streams: int, temperature: float
) -> None:
    snapshot = make_snapshot(hidden, layers)
    state = begun(snapshot, streams, temperature)
    team = CompiledDecoder(snapshot, state, temperature, threads=1)
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


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("streams", [1, 9])
def test_every_number_of_threads_writes_the_same_texts(layers: int, streams: int) -> None:
    snapshot = make_snapshot(192, layers)
    found = []
    for threads in (1, 2, 3):
        team = CompiledDecoder(snapshot, begun(snapshot, streams, 0.8), 0.8, threads=threads)
        found.append(team.write(300))
        team.close()
    for ids, own in found[1:]:
        assert np.array_equal(ids, found[0][0])
        assert np.array_equal(own, found[0][1])


def test_a_text_does_not_depend_on_its_neighbours() -> None:
    snapshot = make_snapshot(64, layers=2)
    state = begun(snapshot, 20, 0.8)
    whole = CompiledDecoder(snapshot, state, 0.8)
    expected = whole.write(200)
    whole.close()
    for streams in (slice(1), slice(3, 8), slice(8, 16), slice(7, 19)):
        team = CompiledDecoder(snapshot, state.of_streams(streams), 0.8)
        for found, all_of_it in zip(team.write(200), expected, strict=True):
            assert np.array_equal(np.asarray(found), np.asarray(all_of_it)[:, streams])
        team.close()


def test_streams_are_shared_out_among_teams() -> None:
    snapshot = make_snapshot(64)
    together = CompiledDecoder(snapshot, begun(snapshot, 19, 0.8), 0.8)
    apart = ShardedDecoder(snapshot, begun(snapshot, 19, 0.8), 0.8, 2)
    for count in (1, BLOCK, 30):
        expected, found = together.write(count), apart.write(count)
        assert np.array_equal(found[0], expected[0])
        assert np.array_equal(found[1], expected[1])
    together.close()
    apart.close()


@pytest.mark.parametrize(
    ("has_unit", "small", "least"), [(False, 2**20, 8), (True, 2**20, 16), (True, 1000, 64)]
)
def test_many_streams_have_teams_of_their_own(
    has_unit: bool, small: int, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.sampling.compiled_lstm.usable_cores", lambda: 2)
    monkeypatch.setattr("model.sampling.compiled_lstm.HAS_AMX", has_unit)
    monkeypatch.setattr("model.sampling.compiled_lstm.L2_WEIGHT_BYTES", small)
    snapshot = make_snapshot(64)
    for streams, kind in ((2 * least, ShardedDecoder), (2 * least - 1, CompiledDecoder)):
        found = choose_decoder(snapshot, begun(snapshot, streams, 0.8), 0.8)
        assert type(found) is kind
        found.close()


def test_a_long_text_goes_on_in_pairs() -> None:
    snapshot = make_snapshot(64)
    sampling = SamplingConfig(temperature=0.8)

    def written(snapshot: LstmSnapshot, most: int) -> list[float]:
        own: list[float] = []
        stream = CharacterStream(snapshot, VOCABULARY, sampling=sampling, seed=3)
        with LongText(stream, numpy_characters=BLOCK) as text:
            while len(own) < 2 * BLOCK:
                own += text.write(min(most, 2 * BLOCK - len(own)))[1].tolist()
        return own

    own = written(snapshot, 100)
    assert own == written(snapshot, 7)
    plain = written(dataclasses.replace(snapshot, precision="fp32"), 100)
    assert own[:BLOCK] == plain[:BLOCK]
    assert own[BLOCK:] != plain[BLOCK:]


def test_what_was_trained_in_float32_is_written_in_float32() -> None:
    snapshot = make_snapshot(64)
    assert decodes_in_bfloat16(snapshot)
    assert not decodes_in_bfloat16(dataclasses.replace(snapshot, precision="fp32"))
    assert not decodes_in_bfloat16(make_snapshot(65))
