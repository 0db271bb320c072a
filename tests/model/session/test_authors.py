"""A session in which two saved models write one text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from model_fixtures import of_kind
from patience import PATIENCE, wait_until
from two_authors import FIRST_SYMBOLS, SECOND_SYMBOLS, checkpoint_of, write_authors

from model.commands import HoldWriting, SetMix, StartRace
from model.config import Lane, SamplingConfig
from model.events import (
    AuthorsOpened,
    CharacterWritten,
    Event,
    LanesWritten,
    MixApplied,
    SessionRefused,
    VocabularyKnown,
    WritingHeld,
)
from model.session.authors import authors_opened
from model.session.live import LiveSession, SavedWeights


class Written:
    """A session and all that it has said."""

    def __init__(self, session: LiveSession) -> None:
        self.session = session
        self.events: list[Event] = []

    def until(self, kind: type[Event], count: int = 1) -> None:
        def is_said() -> bool:
            self.events.extend(self.session.poll())
            return len(of_kind(self.events, kind)) >= count

        wait_until(is_said)


@contextmanager
def opened(work: SavedWeights) -> Iterator[Written]:
    session = LiveSession(work, sampling=SamplingConfig(), rate=2000.0, seed=1)
    session.start()
    try:
        yield Written(session)
    finally:
        assert session.close(timeout=PATIENCE)


LANES = (Lane(model="live", temperature=0.5), Lane(model="live", temperature=1.0))


def test_two_models_write_one_text_and_say_what_each_lacks(tmp_path: Path) -> None:
    first, second = write_authors(tmp_path)
    with opened(SavedWeights(path=first, second=second, mix=0.3)) as it:
        it.until(AuthorsOpened)
        it.until(CharacterWritten, 400)
    (authors,) = of_kind(it.events, AuthorsOpened)
    assert authors == AuthorsOpened(
        names=("one", "two"), symbols=10, lacking=(("f", "é"), ("(", "c"))
    )
    assert of_kind(it.events, MixApplied) == [MixApplied(mix=0.3)]
    (known,) = of_kind(it.events, VocabularyKnown)
    assert set(known.vocabulary.symbols) == set(FIRST_SYMBOLS) | set(SECOND_SYMBOLS)
    assert all(event.log_ratio is not None for event in of_kind(it.events, CharacterWritten))


def test_a_mix_holds_from_the_character_after_its_event(tmp_path: Path) -> None:
    first, second = write_authors(tmp_path)
    with opened(SavedWeights(path=first, second=second)) as it:
        it.until(CharacterWritten, 50)
        it.session.post(StartRace(lanes=LANES, seed=1))
        for number, wished in enumerate((1.0, 0.0, 1.0), 2):
            it.session.post(SetMix(mix=wished))
            it.until(MixApplied, number)
            it.until(CharacterWritten, len(of_kind(it.events, CharacterWritten)) + 80)
        it.session.post(HoldWriting())
        it.until(WritingHeld)
    mix: float | None = None
    for event in it.events:
        if isinstance(event, MixApplied):
            mix = event.mix
        elif isinstance(event, CharacterWritten) and mix in {0.0, 1.0}:
            assert event.character in (SECOND_SYMBOLS if mix else FIRST_SYMBOLS)
    assert len(of_kind(it.events, LanesWritten)) > 100


def test_one_model_has_no_mix(tmp_path: Path) -> None:
    first, _ = write_authors(tmp_path)
    with opened(SavedWeights(path=first)) as it:
        it.session.post(SetMix(mix=0.5))
        it.until(CharacterWritten, 50)
    assert not of_kind(it.events, MixApplied)
    assert all(event.log_ratio is None for event in of_kind(it.events, CharacterWritten))


def test_a_damaged_second_model_is_refused(tmp_path: Path) -> None:
    first, second = write_authors(tmp_path)
    second.write_bytes(second.read_bytes()[:-5])
    with opened(SavedWeights(path=first, second=second)) as it:
        it.until(SessionRefused)
    (refused,) = of_kind(it.events, SessionRefused)
    assert str(second) in str(refused.error)


@pytest.mark.parametrize(
    ("runs", "names"), [(("a", "b"), ("a", "b")), (("a", "a"), ("a@1", "a@2"))]
)
def test_two_checkpoints_of_one_run_are_told_apart(
    runs: tuple[str, str], names: tuple[str, str]
) -> None:
    made = authors_opened(checkpoint_of(runs[0], "abc", 1), checkpoint_of(runs[1], "abc", 2))
    assert made == AuthorsOpened(names=names, symbols=3, lacking=((), ()))
