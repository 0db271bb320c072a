"""Commands that change what a session writes, and the text that follows."""

from __future__ import annotations

import threading
import types

import pytest
from model_fixtures import VOCABULARY, TickingClock, make_checkpoint, of_kind
from patience import PATIENCE
from watched_session import FAST, opened

from corpus import MAX_PROMPT_CHARACTERS
from model.commands import ContinueWriting, HoldWriting, RestartWriting, SetRate, SetSampling
from model.config import SamplingConfig
from model.events import CharacterWritten, RateSet, SamplingApplied, WritingHeld, WritingRestarted
from model.runs.checkpoint_file import read_checkpoint
from model.sampling.stream import CharacterStream
from model.session import live as live_session
from model.session import sampler_thread
from model.session.live import SavedWeights


def test_a_temperature_holds_from_the_very_next_character(weights: SavedWeights) -> None:
    with opened(weights, sampling=SamplingConfig(temperature=5)) as watched:
        watched.until(lambda: len(watched.text()) > 100)
        for number in range(1, 4):
            watched.post(SetSampling(sampling=SamplingConfig(temperature=0)))
            greedy = watched.until_event(SamplingApplied, 2 * number - 1)
            watched.until(lambda: len(of_kind(watched.after(greedy), CharacterWritten)) > 40)  # noqa: B023
            watched.post(SetSampling(sampling=SamplingConfig(temperature=5)))
            hot = watched.until_event(SamplingApplied, 2 * number)
            assert (greedy.sampling.temperature, hot.sampling.temperature) == (0, 5)
            watched.until(lambda: len(of_kind(watched.after(hot), CharacterWritten)) > 40)  # noqa: B023
        temperature, surprises = 5.0, 0
        for event in watched.events:
            if isinstance(event, SamplingApplied):
                temperature = event.sampling.temperature
            elif isinstance(event, CharacterWritten):
                is_top = event.probability == event.candidates[0].probability
                surprises += not is_top
                assert is_top or temperature == 5
        assert surprises > 100


def test_a_hold_stops_the_text_and_leaves_it_unchanged(
    weights: SavedWeights,
) -> None:
    with opened(weights) as watched:
        watched.until(lambda: len(watched.text()) > 400)
        expected = watched.text()
    with opened(weights, rate=FAST) as watched:
        watched.until(lambda: len(watched.text()) > 20)
        watched.post(HoldWriting())
        held = watched.until_event(WritingHeld)
        assert held.held
        watched.let_the_writer_catch_up()
        assert of_kind(watched.after(held), CharacterWritten) == []
        watched.post(ContinueWriting())
        assert not watched.until_event(WritingHeld, 2).held
        watched.until(lambda: len(watched.text()) > 300)
        assert watched.text()[:300] == expected[:300]


def test_the_rate_is_kept_and_can_be_changed(
    weights: SavedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = TickingClock()
    monkeypatch.setattr(sampler_thread, "time", types.SimpleNamespace(monotonic=clock))
    with opened(weights, rate=50.0) as watched:
        watched.until_event(CharacterWritten)
        for answers, count in enumerate((6, 11, 16), 1):
            clock.now += 0.1 if answers > 1 else 0.11
            watched.until(lambda: len(watched.text()) >= count)  # noqa: B023
            watched.let_the_writer_catch_up(answers)
            assert len(watched.text()) == count, "a character takes 0.02 s at 50 a second"
        watched.post(SetRate(characters_per_second=5000))
        assert watched.until_event(RateSet).characters_per_second == 5000
        clock.now += 0.1
        watched.until(lambda: len(watched.text()) > 400)


def test_a_restart_with_a_seed_writes_the_same_text(weights: SavedWeights) -> None:
    texts = []
    with opened(weights, prompt="the cat") as watched:
        watched.until_event(WritingRestarted)
        for number, seed in enumerate((7, 7, 8), 2):
            watched.post(RestartWriting(seed=seed))
            restarted = watched.until_event(WritingRestarted, number)
            assert (restarted.seed, restarted.prompt) == (seed, "the cat")
            watched.until(lambda: len(of_kind(watched.after(restarted), CharacterWritten)) >= 60)  # noqa: B023
            written = of_kind(watched.after(restarted), CharacterWritten)[:60]
            texts.append("".join(event.character for event in written))
    assert texts[0] == texts[1] != texts[2]


def test_the_text_is_that_of_a_stream_without_a_thread(weights: SavedWeights) -> None:
    checkpoint = make_checkpoint()
    stream = CharacterStream(
        checkpoint.snapshot(), VOCABULARY, sampling=SamplingConfig(), seed=1, prompt="a rat"
    )
    expected = [stream.step() for _ in range(100)]
    with opened(weights, prompt="a rat") as watched:
        watched.until(lambda: len(watched.of(CharacterWritten)) >= 100)
        assert watched.of(CharacterWritten)[:100] == expected


def test_without_a_seed_each_restart_draws_a_new_one(weights: SavedWeights) -> None:
    with opened(weights, seed=None) as watched:
        for number in range(1, 5):
            watched.until_event(WritingRestarted, number)
            watched.post(RestartWriting())
        seeds = {event.seed for event in watched.of(WritingRestarted)}
        assert len(seeds) >= 3
        assert all(0 <= seed < 10**6 for seed in seeds)


def test_unknown_characters_of_a_prompt_are_left_out_and_reported(
    weights: SavedWeights,
) -> None:
    with opened(weights, prompt="The CAT Ω") as watched:
        restarted = watched.until_event(WritingRestarted)
        assert restarted.prompt == "the cat "
        assert restarted.note is not None
        assert "left out Ω" in restarted.note
        watched.post(RestartWriting(prompt="a rat"))
        restarted = watched.until_event(WritingRestarted, 2)
        assert (restarted.prompt, restarted.note) == ("a rat", None)
        watched.until(lambda: of_kind(watched.after(restarted), CharacterWritten))


def test_the_end_of_a_prompt_too_long_is_read_and_that_is_reported(weights: SavedWeights) -> None:
    with opened(weights) as watched:
        watched.until_event(WritingRestarted)
        watched.post(RestartWriting(prompt="the end" + "a rat " * (MAX_PROMPT_CHARACTERS // 6)))
        restarted = watched.until_event(WritingRestarted, 2)
        assert len(restarted.prompt) == MAX_PROMPT_CHARACTERS
        assert restarted.prompt.endswith("a rat a rat ")
        assert restarted.note is not None
        assert "its last 100,000 characters" in restarted.note
        watched.until(lambda: of_kind(watched.after(restarted), CharacterWritten))


def test_commands_before_the_first_weights_are_kept(
    weights: SavedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_read = threading.Event()
    monkeypatch.setattr(
        live_session,
        "read_checkpoint",
        lambda path: (may_read.wait(PATIENCE), read_checkpoint(path))[1],
    )
    with opened(weights, sampling=SamplingConfig(temperature=5)) as watched:
        watched.post(SetSampling(sampling=SamplingConfig(temperature=0)))
        watched.post(RestartWriting(seed=9, prompt="the "))
        watched.until_event(SamplingApplied)
        may_read.set()
        restarted = watched.until_event(WritingRestarted)
        assert (restarted.seed, restarted.prompt) == (9, "the ")
        watched.until(lambda: len(watched.text()) > 30)
        for event in watched.of(CharacterWritten):
            assert event.probability == event.candidates[0].probability
