"""The model's part in a duel: what it reads, whose weights it uses, and where its score is kept."""

from __future__ import annotations

import math
import queue
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from model_fixtures import (
    VOCABULARY,
    constant_snapshot,
    make_request,
    make_snapshot,
    make_text,
    of_kind,
)
from patience import PATIENCE, wait_until

from corpus import split_ids
from model.commands import JudgeLetter, StartDuel
from model.config import SamplingConfig
from model.duel.passage import CONTEXT
from model.duel.score import MAX_BITS, LetterPlayed, recorded_letters
from model.events import (
    DuelEvent,
    DuelLetterJudged,
    DuelRefused,
    DuelStarted,
    Event,
    WeightsSwapped,
)
from model.network.published import PublishedWeights
from model.runs.file_names import DUELS_NAME
from model.runs.folder import RunFolder
from model.runs.summary import summary_of
from model.sampling.stream import CharacterStream
from model.session import analysis_thread
from model.session.duel_scores import DuelScores
from model.session.duel_thread import DuelThread, bits_of, guess_of, rank_of
from model.session.live import LiveSession, SavedWeights
from model.session.watch import WatchSession
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun

DuelEventT = TypeVar("DuelEventT", bound=DuelEvent)
TEXT = make_text(6_000)
SPLIT = split_ids(VOCABULARY.encode(TEXT), 0.2)


class Played:
    """A duel without a session, and what it said."""

    def __init__(self) -> None:
        self._said: queue.SimpleQueue[DuelEvent] = queue.SimpleQueue()
        self.thread = DuelThread(self._said.put)
        self.thread.publish(PublishedWeights(snapshot=make_snapshot(), vocabulary=VOCABULARY))

    def next(self, kind: type[DuelEventT]) -> DuelEventT:
        event = self._said.get(timeout=PATIENCE)
        assert isinstance(event, kind), event
        return event


@pytest.fixture
def duel() -> Iterator[Played]:
    played = Played()
    yield played
    played.thread.stop()


def run_folder(path: Path) -> RunFolder:
    path.mkdir()
    folder = RunFolder(path)
    folder.write_description({"id": path.name})
    return folder


@pytest.mark.parametrize("window", [None, 7])
def test_the_model_reads_what_the_user_reads_and_nothing_else(window: int | None) -> None:
    snapshot, before = make_snapshot(), TEXT[:300]
    stream = CharacterStream(
        snapshot, VOCABULARY, sampling=SamplingConfig(), seed=1, prompt=before, window=window
    )
    published = PublishedWeights(snapshot=snapshot, vocabulary=VOCABULARY, window=window)
    ids = VOCABULARY.encode(before).tolist()
    described = stream.describe_next(len(VOCABULARY)).candidates
    for place, candidate in enumerate(described, 1):
        answer = VOCABULARY.id_of(candidate.character)
        rank, bits = guess_of(published, ids, answer)
        assert rank == place
        assert bits == pytest.approx(-math.log2(candidate.probability))


def test_weights_that_overflowed_still_have_a_rank_and_finite_bits() -> None:
    logits = np.zeros(len(VOCABULARY))
    logits[:2] = np.nan, 5000.0
    published = PublishedWeights(snapshot=constant_snapshot(logits), vocabulary=VOCABULARY)
    for answer in range(len(VOCABULARY)):
        rank, bits = guess_of(published, [0], answer)
        assert 1 <= rank <= len(VOCABULARY)
        assert 0 <= bits <= MAX_BITS
    equal = np.full(4, 0.25)
    assert [rank_of(equal, symbol) for symbol in range(4)] == [1, 2, 3, 4]
    assert (bits_of(0.0), bits_of(1.0), bits_of(0.25)) == (MAX_BITS, 0.0, 2.0)


def test_a_passage_comes_from_the_held_out_text_once_the_text_is_there(
    duel: Played, tmp_path: Path
) -> None:
    duel.thread.post(StartDuel(seed=3))
    folder = run_folder(tmp_path / "run")
    duel.thread.use_text(SPLIT, DuelScores(folder))
    started = duel.next(DuelStarted)
    assert started.text in TEXT[-len(SPLIT.held_out) :]
    assert (started.context, started.seed, started.not_kept) == (CONTEXT, 3, "")
    counts = [TEXT[: len(SPLIT.train)].count(symbol) for symbol in started.by_frequency]
    assert counts == sorted(counts, reverse=True)
    assert sorted(started.by_frequency) == list(VOCABULARY.symbols)
    for place in (CONTEXT, CONTEXT + 1):
        duel.thread.post(JudgeLetter(place=place, rank=2, gave_up=place > CONTEXT))
        assert duel.next(DuelLetterJudged).letter.place == place
    score = summary_of(folder).duel
    assert score is not None
    assert (score.human.letters, score.given_up) == (2, 1)


def test_a_score_is_never_kept_with_another_run(duel: Played, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    duel.thread.use_text(SPLIT, DuelScores(folder))
    duel.thread.post(StartDuel())
    duel.next(DuelStarted)
    shutil.rmtree(folder.path)
    duel.thread.post(JudgeLetter(place=CONTEXT, rank=1, gave_up=False))
    assert duel.next(DuelLetterJudged).not_kept == "run: the run was deleted"
    run_folder(folder.path).write_description({"id": "another"})
    duel.thread.post(JudgeLetter(place=CONTEXT + 1, rank=1, gave_up=False))
    assert "was deleted" in duel.next(DuelLetterJudged).not_kept
    assert not (folder.path / DUELS_NAME).exists()


@pytest.mark.parametrize(
    ("fraction", "words"), [(0.0, "holds no text out"), (0.005, "30 characters are held out")]
)
def test_without_a_held_out_text_there_is_no_duel(
    duel: Played, fraction: float, words: str
) -> None:
    duel.thread.use_text(split_ids(VOCABULARY.encode(TEXT), fraction), DuelScores(None))
    duel.thread.post(StartDuel())
    assert words in duel.next(DuelRefused).reason


def test_a_missing_text_is_named(duel: Played) -> None:
    duel.thread.post(StartDuel())
    duel.thread.refuse("The text is gone.")
    assert duel.next(DuelRefused).reason == "The text is gone."


def test_the_model_goes_on_learning_between_two_letters(tmp_path: Path) -> None:
    request = make_request(tmp_path, epochs=100_000, validation_fraction=0.2)
    session = LiveSession(request, sampling=SamplingConfig(), rate=10.0, seed=1)
    said: list[Event] = []

    def letters() -> list[LetterPlayed]:
        said.extend(session.poll())
        return [event.letter for event in of_kind(said, DuelLetterJudged)]

    session.start()
    session.post(StartDuel())
    wait_until(lambda: letters() or of_kind(said, DuelStarted))
    context = of_kind(said, DuelStarted)[0].context
    session.post(JudgeLetter(place=context, rank=3, gave_up=False))
    wait_until(letters)
    first = letters()[0].step

    def has_learned() -> bool:
        letters()
        return sum(event.step > first for event in of_kind(said, WeightsSwapped)) >= 2

    wait_until(has_learned)
    session.post(JudgeLetter(place=context + 1, rank=3, gave_up=False))
    wait_until(lambda: len(letters()) == 2)
    assert letters()[1].step > first
    session.close(timeout=PATIENCE)
    folder = RunFolder(tmp_path / "runs" / "tiny")
    assert list(recorded_letters(folder.record.lines(DUELS_NAME))) == letters()


@pytest.mark.parametrize("watched", [False, True], ids=["opened", "watched"])
def test_opened_weights_keep_a_score_and_spectators_keep_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, watched: bool
) -> None:
    monkeypatch.setattr(analysis_thread, "FIRST_PAUSE", 0.0)
    request = make_request(tmp_path, epochs=1, validation_fraction=0.2)
    for _ in TrainingRun(request, TrainingControls()).events():
        pass
    folder = RunFolder(tmp_path / "runs" / "tiny")
    path = folder.checkpoints.paths()[-1]
    session: LiveSession | WatchSession
    if watched:
        session = WatchSession(folder, sampling=SamplingConfig(), rate=10.0, seed=1)
    else:
        session = LiveSession(SavedWeights(path=path), sampling=SamplingConfig(), rate=10.0, seed=1)
    said: list[Event] = []

    def has_said(kind: type[Event]) -> bool:
        said.extend(session.poll())
        return bool(of_kind(said, kind))

    session.start()
    session.post(StartDuel())
    wait_until(lambda: has_said(DuelStarted))
    started = of_kind(said, DuelStarted)[0]
    session.post(JudgeLetter(place=started.context, rank=1, gave_up=False))
    wait_until(lambda: has_said(DuelLetterJudged))
    session.close()
    assert started.not_kept == ("you only watch this run" if watched else "")
    assert (folder.path / DUELS_NAME).exists() is not watched
    left = folder.delete()
    assert left == []
