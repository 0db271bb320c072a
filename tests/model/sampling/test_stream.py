"""The stream of characters, without a thread."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from model_fixtures import VOCABULARY, constant_snapshot, make_snapshot
from network_fixtures import make_network, snapshot_of
from noise_by_definition import assert_drawn

from corpus import CorpusError, Vocabulary
from model.config import ModelConfig, SamplingConfig
from model.kernels.splitmix import BLOCK
from model.sampling.stream import REREAD_CHARACTERS, CharacterStream

NETWORK = make_network(ModelConfig(hidden=12, layers=2, embedding=4), len(VOCABULARY))
LOGITS = np.linspace(-1, 1, len(VOCABULARY))


def make_stream(
    *,
    seed: int = 5,
    prompt: str = "the cat ",
    window: int | None = None,
    sampling: SamplingConfig | None = None,
) -> CharacterStream:
    return CharacterStream(
        snapshot_of(NETWORK),
        VOCABULARY,
        sampling=sampling or SamplingConfig(),
        seed=seed,
        prompt=prompt,
        window=window,
        candidates=4,
    )


def write(stream: CharacterStream, count: int) -> str:
    return "".join(written.character for written in islice(stream, count))


def network_distribution(text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """What the network itself says about the character after `text`, read from a cold start."""
    ids = torch.from_numpy(VOCABULARY.encode(text).astype(np.int64))[:, None]
    with torch.no_grad():
        outputs, _ = NETWORK(ids)
        return NETWORK.logits(outputs[-1, 0]).softmax(-1).numpy()


@pytest.mark.parametrize("window", [None, 7])
def test_the_same_seed_writes_the_same_text(window: int | None) -> None:
    text = write(make_stream(window=window), 200)
    assert write(make_stream(window=window), 200) == text
    assert write(make_stream(window=window, seed=6), 200) != text


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_each_character_is_drawn_with_the_noise_of_its_own_place(
    window: int | None, temperature: float
) -> None:
    stream = CharacterStream(
        constant_snapshot(LOGITS),
        VOCABULARY,
        sampling=SamplingConfig(temperature=temperature),
        seed=5,
        prompt="the ",
        window=window,
    )
    ids = [VOCABULARY.id_of(written.character) for written in islice(stream, 2 * BLOCK + 3)]
    assert_drawn(ids, LOGITS, seed=5, temperature=temperature)
    stream.restart(seed=6, prompt="a")
    ids = [VOCABULARY.id_of(written.character) for written in islice(stream, 9)]
    assert_drawn(ids, LOGITS, seed=6, temperature=temperature)
    assert stream.fork(4, "e")
    ids = [VOCABULARY.id_of(written.character) for written in islice(stream, 9)]
    assert_drawn(ids, LOGITS, seed=6, temperature=temperature, first=6)


def test_a_restart_with_the_seed_writes_the_same_text() -> None:
    stream = make_stream()
    text = write(stream, 100)
    stream.restart(seed=5, prompt="the cat ")
    assert write(stream, 100) == text
    stream.restart(seed=6, prompt="the cat ")
    assert write(stream, 100) != text


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("window", [None, 6])
def test_each_character_reports_what_the_network_thinks_of_it(
    temperature: float, window: int | None
) -> None:
    stream = make_stream(window=window, sampling=SamplingConfig(temperature=temperature))
    text = "the cat "
    for written in islice(stream, 40):
        own = network_distribution(text if window is None else text[-window:])
        chosen = VOCABULARY.id_of(written.character)
        assert written.probability == pytest.approx(own[chosen], abs=1e-5)
        assert written.entropy == pytest.approx(-(own * np.log(own)).sum(), abs=1e-4)
        ranked = np.sort(own)[::-1][:4]
        assert [c.probability for c in written.candidates] == pytest.approx(ranked, abs=1e-5)
        for candidate in written.candidates:
            assert candidate.probability == pytest.approx(
                own[VOCABULARY.id_of(candidate.character)], abs=1e-5
            )
        text += written.character


def test_the_prompt_is_read_to_its_end_from_a_cold_state() -> None:
    for prompt in ("a", "the cat sat", "rats.\nmats"):
        stream = make_stream()
        write(stream, 10)
        stream.restart(seed=1, prompt=prompt)
        own = network_distribution(prompt)
        assert [c.probability for c in stream.step().candidates] == pytest.approx(
            np.sort(own)[::-1][:4], abs=1e-5
        )


def test_temperature_zero_writes_the_top_candidate() -> None:
    stream = make_stream(sampling=SamplingConfig(temperature=0))
    for written in islice(stream, 50):
        assert written.character == written.candidates[0].character


def test_a_new_temperature_holds_for_the_next_character() -> None:
    hot = SamplingConfig(temperature=5)
    stream = make_stream(sampling=hot)
    surprises = 0
    for _ in range(30):
        stream.sampling = SamplingConfig(temperature=0)
        greedy = stream.step()
        assert greedy.probability == greedy.candidates[0].probability
        stream.sampling = hot
        written = stream.step()
        surprises += written.character != written.candidates[0].character
    assert surprises > 10


def test_a_change_of_temperature_takes_no_extra_random_number() -> None:
    changed, unchanged = make_stream(), make_stream()
    write(unchanged, 20)
    for _ in range(20):
        changed.sampling = SamplingConfig(temperature=0.3)
        changed.sampling = SamplingConfig()
        changed.step()
    assert write(changed, 50) == write(unchanged, 50)


def test_new_weights_in_mid_text_keep_the_state() -> None:
    stream = CharacterStream(
        make_snapshot(0), VOCABULARY, sampling=SamplingConfig(), seed=1, prompt="the "
    )
    write(stream, 10)
    same = CharacterStream(
        make_snapshot(0), VOCABULARY, sampling=SamplingConfig(), seed=1, prompt="the "
    )
    write(same, 10)
    stream.snapshot = make_snapshot(0, step=2)
    assert write(stream, 50) == write(same, 50)
    stream.snapshot = make_snapshot(9, step=3)
    assert write(stream, 50) != write(same, 50)


def test_a_text_that_is_read_again_goes_on_from_its_end_alone() -> None:
    """Whatever weights wrote it, the state is that of the present ones over its last characters."""
    states = []
    for first in (3, 4):
        stream = CharacterStream(
            make_snapshot(first), VOCABULARY, sampling=SamplingConfig(), seed=1, prompt="the "
        )
        text = write(stream, 100)
        stream.snapshot = make_snapshot(0)
        stream.reread()
        again = CharacterStream(
            make_snapshot(0),
            VOCABULARY,
            sampling=SamplingConfig(),
            seed=1,
            prompt=text[-REREAD_CHARACTERS:],
        )
        assert stream.describe_next() == again.describe_next()
        states.append(stream.describe_next())
        assert stream.fork(5, "e")
    assert states[0] != states[1]


def test_an_empty_prompt_starts_as_after_a_line_feed() -> None:
    assert write(make_stream(prompt=""), 50) == write(make_stream(prompt="\n"), 50)


def test_without_a_line_feed_or_space_any_symbol_starts() -> None:
    letters = Vocabulary.from_symbols("abc")
    network = make_network(ModelConfig(hidden=8, embedding=0), len(letters))
    stream = CharacterStream(snapshot_of(network), letters, sampling=SamplingConfig(), seed=0)
    assert set(write(stream, 50)) <= set("abc")


def test_a_foreign_prompt_is_refused() -> None:
    with pytest.raises(CorpusError, match="not in the vocabulary"):
        make_stream(prompt="Ω")


def test_no_more_candidates_are_reported_than_there_are_symbols() -> None:
    two = Vocabulary.from_symbols("ab")
    network = make_network(ModelConfig(hidden=8, embedding=0), 2)
    stream = CharacterStream(
        snapshot_of(network), two, sampling=SamplingConfig(), seed=0, candidates=8
    )
    assert len(stream.step().candidates) == 2


@pytest.mark.filterwarnings("ignore:(invalid value|overflow):RuntimeWarning")
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e38])
def test_weights_that_overflowed_are_forgotten_with_the_next_good_ones(bad: float) -> None:
    spoilt = make_network(NETWORK.config, len(VOCABULARY))
    with torch.no_grad():
        for parameter in spoilt.parameters():
            parameter.fill_(bad)
    stream = make_stream()
    stream.snapshot = snapshot_of(spoilt)
    assert set(write(stream, 20)) <= set(VOCABULARY.symbols)
    stream.snapshot = snapshot_of(NETWORK)
    write(stream, 1)
    assert all(
        0 < written.entropy < 0.99 * np.log(len(VOCABULARY)) for written in islice(stream, 20)
    )


@pytest.mark.parametrize("window", [None, 7])
def test_a_fork_writes_what_the_fork_alone_would_have(window: int | None) -> None:
    stream = make_stream(window=window)
    before = write(stream, 30)
    text = write(stream, 20)
    other = next(symbol for symbol in VOCABULARY.symbols if symbol != text[0])
    assert stream.fork(20, other)
    forked = write(stream, 19)
    # The same text read from the start, with the noise of the same places, writes the same.
    ids = [int(i) for i in VOCABULARY.encode("the cat " + before + other)]
    again = make_stream(window=window)
    for _ in range(31):
        again.step()
    again._stepper.reset()
    again._recent.extend(ids[-(window or 1) :])
    again._logits = again._stepper.prime(ids)
    assert write(again, 19) == forked


@pytest.mark.parametrize("window", [None, 7])
def test_the_trunk_stands_again_as_if_nothing_had_been(window: int | None) -> None:
    stream, untouched = make_stream(window=window), make_stream(window=window)
    text = write(stream, 60)
    assert write(untouched, 60) == text
    assert stream.fork(20, "e")
    write(stream, 5)
    assert stream.fork(10, "a"), "a fork may begin before the fork"
    write(stream, 30)
    # 60 - 20 + 1 + 5 - 10 = 36 characters were never touched.
    assert stream.return_to_trunk() == (31, text[36:])
    assert write(stream, 40) == write(untouched, 40)
    assert stream.return_to_trunk() is None


def test_what_is_not_kept_cannot_be_forked() -> None:
    stream = make_stream()
    assert not stream.fork(1, "e")
    text = write(stream, 5)
    assert not stream.fork(6, "e")
    assert not stream.fork(0, "e")
    assert not stream.fork(2, "\u4e00")
    assert stream.return_to_trunk() is None
    assert write(stream, 20) == write(make_stream(), 25)[5:]
    assert len(text) == 5
