"""Two models that write one text: the mixture of their probabilities, and what each reads."""

from __future__ import annotations

import math
from contextlib import closing

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from two_authors import FIRST_SYMBOLS, SECOND_SYMBOLS, weights_of

from model.config import SamplingConfig
from model.network.published import PublishedWeights
from model.sampling.distribution import softmax
from model.sampling.race import LaneModel, Race
from model.sampling.sampler import Sampler
from model.sampling.stream import CharacterStream
from model.steppers.mixed_stepper import MixedBatchStepper, MixedStepper
from model.steppers.mixture import mixed_logits, mixture, sole_author
from model.steppers.numpy_lstm import LstmStepper

MIXES = st.sampled_from((0.0, 0.05, 0.3, 0.5, 0.9, 1.0))
LOGITS = st.lists(st.floats(-80, 80, width=32), min_size=4, max_size=4)


def both(mix: float, *, windows: tuple[int | None, int | None] = (None, None)) -> PublishedWeights:
    first = weights_of(FIRST_SYMBOLS, 1, window=windows[0])
    second = weights_of(SECOND_SYMBOLS, 2, window=windows[1])
    return mixture(first, second, mix)


def stream_of(
    weights: PublishedWeights, seed: int = 3, temperature: float = 1.0
) -> CharacterStream:
    return CharacterStream(
        weights.snapshot,
        weights.vocabulary,
        sampling=SamplingConfig(temperature=temperature),
        seed=seed,
        window=weights.window,
    )


def text_of(stream: CharacterStream, length: int = 200) -> str:
    return "".join(stream.step().character for _ in range(length))


def texts_of(weights: PublishedWeights, seeds: range, length: int = 100) -> list[str]:
    sampler = Sampler(
        weights.snapshot,
        weights.vocabulary,
        sampling=SamplingConfig(top_p=0.95),
        seeds=seeds,
        window=weights.window,
    )
    with closing(sampler):
        texts = [""] * len(seeds)
        while len(texts[0]) < length:
            ids, _ = sampler.write(7)
            for number in range(len(seeds)):
                texts[number] += weights.vocabulary.decode(ids[:, number])
    return [text[:length] for text in texts]


@given(first=LOGITS, second=LOGITS, mix=MIXES)
def test_the_mixture_is_the_weighted_mean_of_the_probabilities(
    first: list[float], second: list[float], mix: float
) -> None:
    a, b = np.array(first, np.float32), np.array(second, np.float32)
    a[3], b[0] = -np.inf, -np.inf
    mixed = softmax(mixed_logits(a, b, mix))
    expected = (1 - mix) * softmax(a) + mix * softmax(b)
    assert mixed.sum() == pytest.approx(1)
    assert mixed == pytest.approx(expected, rel=1e-4, abs=1e-12)
    assert (mixed[0] == 0) == (mix == 1 or expected[0] == 0)


def test_probabilities_that_would_underflow_keep_their_order() -> None:
    far = np.array([0.0, -200.0, -300.0], np.float32)
    mixed = mixed_logits(far, far[::-1].copy(), 0.5)
    assert np.isfinite(mixed).all()
    assert mixed[0] == mixed[2] > mixed[1]
    assert mixed[1] - mixed[0] == pytest.approx(-200 + math.log(2), abs=1e-3)


@given(first=st.text("abcé漢\n", min_size=1), second=st.text("bcdß\n", min_size=1))
def test_the_united_vocabulary_has_the_symbols_of_both_and_no_others(
    first: str, second: str
) -> None:
    united = mixture(weights_of(first, 1), weights_of(second, 2), 0.5).vocabulary
    assert set(united.symbols) == set(first) | set(second)


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("mix", [0.0, 1.0])
def test_at_the_ends_the_text_is_that_of_one_model(mix: float, window: int | None) -> None:
    models = (weights_of(FIRST_SYMBOLS, 1, window=window), weights_of(FIRST_SYMBOLS, 2))
    one = models[round(mix)]
    assert text_of(stream_of(mixture(*models, mix))) == text_of(stream_of(one))
    assert texts_of(mixture(*models, mix), range(3)) == texts_of(one, range(3))
    assert sole_author(*models, mix) is one
    assert sole_author(*models, 0.5) is None
    assert sole_author(models[0], weights_of(SECOND_SYMBOLS, 2), mix) is None


@pytest.mark.parametrize("windows", [(None, None), (4, None), (4, 6)])
def test_a_seeds_text_is_the_same_alone_and_beside_others(
    windows: tuple[int | None, int | None],
) -> None:
    weights = both(0.4, windows=windows)
    alone = [texts_of(weights, range(seed, seed + 1))[0] for seed in range(11)]
    assert texts_of(weights, range(11)) == alone
    assert texts_of(weights, range(2), length=30) == [text[:30] for text in alone[:2]]
    assert {"c", "é"} <= set("".join(alone))


def test_a_symbol_that_a_model_lacks_is_left_out_of_its_input() -> None:
    weights = both(1.0)
    stepper = MixedStepper(weights.snapshot)
    second = weights_of(SECOND_SYMBOLS, 2)
    alone = LstmStepper(second.snapshot).prime(second.vocabulary.encode("abé"))
    mixed = stepper.prime(weights.vocabulary.encode("ac(bé"))
    known = weights.vocabulary.encode("".join(second.vocabulary.symbols))
    assert np.array_equal(mixed[known], alone)
    assert np.isneginf(mixed[weights.vocabulary.id_of("c")])


@pytest.mark.parametrize("windows", [(None, None), (3, None)])
def test_many_streams_read_what_one_stream_reads(windows: tuple[int | None, int | None]) -> None:
    weights = both(0.5, windows=windows)
    texts = ("ac(b", "éfab", "a\n e")
    ids = np.array([weights.vocabulary.encode(text) for text in texts], np.intp)
    batch = MixedBatchStepper(weights.snapshot, len(texts)).prime(list(ids.T))
    for place, row in enumerate(ids):
        single = MixedStepper(weights.snapshot).prime(row.tolist())
        assert batch[:, place] == pytest.approx(single, abs=1e-4)


def test_the_ratio_of_a_character_is_that_of_the_probabilities_of_each_model() -> None:
    stream, alone = stream_of(both(0.5)), stream_of(both(0.0))
    for _ in range(200):
        wide = {item.character: item.probability for item in stream.describe_next().candidates}
        of_first = np.exp(_log_probabilities(alone))
        written = stream.step()
        ratio = written.log_ratio
        assert ratio is not None
        # mixture = (first + second) / 2, and the ratio says first / second
        share = 1.0 if math.isinf(ratio) and ratio > 0 else 2**ratio / (1 + 2**ratio)
        known = of_first[stream.vocabulary.id_of(written.character)]
        assert known == pytest.approx(2 * wide[written.character] * share, rel=1e-3, abs=1e-9)
        assert math.isinf(ratio) == (written.character in "c(fé")
        alone._read(stream.vocabulary.id_of(written.character))


def _log_probabilities(stream: CharacterStream) -> npt.NDArray[np.float64]:
    return np.log(np.maximum(softmax(stream._current_logits()), 1e-300))


def test_a_new_mix_holds_from_the_next_character_on() -> None:
    stream = stream_of(both(0.5))
    text_of(stream, 20)
    assert stream.set_mix(1.0)
    for _ in range(100):
        assert stream.step().character in SECOND_SYMBOLS
    assert stream.set_mix(0.0)
    for _ in range(100):
        assert stream.step().character in FIRST_SYMBOLS
    assert not stream_of(weights_of(FIRST_SYMBOLS, 1)).set_mix(0.5)


@pytest.mark.parametrize("windows", [(None, None), (4, None)])
def test_a_fork_and_the_way_back_restore_both_models(
    windows: tuple[int | None, int | None],
) -> None:
    stream = stream_of(both(0.5, windows=windows))
    untouched = text_of(stream_of(both(0.5, windows=windows)), 80)
    assert text_of(stream, 40) == untouched[:40]
    assert stream.fork(10, "é")
    text_of(stream, 15)
    assert stream.return_to_trunk() == (16, untouched[30:40])
    assert text_of(stream, 40) == untouched[40:]


def test_the_lanes_of_a_race_are_drawn_though_a_model_lacks_symbols() -> None:
    weights = both(0.0)
    model = LaneModel.of_weights(weights.snapshot)
    race = Race([("live", 0.0), ("live", 2.0)], {"live": model}, weights.vocabulary, seed=1)
    lanes = list(zip(*(race.step().characters for _ in range(60)), strict=True))
    assert set(lanes[1]) <= set(FIRST_SYMBOLS)
    assert len(set(lanes[1])) > 4, "the hot lane is not greedy"
