"""Which hidden unit tracks what: against a network that is built to track something."""

from __future__ import annotations

import threading
from unittest.mock import Mock

import numpy as np
import pytest
from model_fixtures import (
    TINY_MODEL,
    VOCABULARY,
    make_corpus,
    make_snapshot,
    make_text,
    of_kind,
    random_weights,
)
from patience import PATIENCE, wait_until

from corpus import split_ids
from model.evaluation.hidden_units import activations_of, features_of, rank_units
from model.events import (
    AnalysisEvent,
    DuelEvent,
    NoveltyIndexed,
    ReferencesMeasured,
    TextMissing,
    UnitsRanked,
)
from model.network.published import PublishedWeights
from model.network.snapshot import LstmSnapshot
from model.session.analysis_thread import Analysis
from model.session.duel_scores import DuelScores


def test_features_are_what_they_are_called() -> None:
    found = features_of('a "b c" (d)\nEf')
    assert list(found["inside quotes"]) == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert list(found["inside brackets"]) == [0] * 8 + [1, 1, 0, 0, 0, 0]
    assert list(found["place in the line"]) == [*range(1, 12), 0, 1, 2]
    assert list(found["after a space"]) == [0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0]
    assert list(found["capitals"]) == [0] * 12 + [1, 0]
    assert features_of("") == {}
    assert "inside quotes" not in features_of("no quotes at all")


def test_a_unit_that_is_built_to_see_spaces_is_found() -> None:
    weights = random_weights(TINY_MODEL, len(VOCABULARY), scale=0.05)
    text = make_text(2_000)
    ids = VOCABULARY.encode(text)
    hidden, unit = TINY_MODEL.hidden, 3
    embedding = weights["embedding.weight"]
    embedding[:] = np.random.default_rng(0).normal(0, 0.05, embedding.shape)
    embedding[:, 0] = -1
    for symbol in VOCABULARY.symbols:
        if symbol.isspace():
            embedding[VOCABULARY.id_of(symbol), 0] = 1
    # The unit's candidate follows the first part of the embedding, its gates are open, and it
    # forgets at once.
    for gate, size in ((0, 0.0), (1, 0.0), (2, 6.0), (3, 0.0)):
        weights["lstm.weight_ih_l0"][gate * hidden + unit] = 0
        weights["lstm.weight_ih_l0"][gate * hidden + unit, 0] = size
        weights["lstm.weight_hh_l0"][gate * hidden + unit] = 0
    for gate, bias in ((0, 6.0), (1, -6.0), (2, 0.0), (3, 6.0)):
        weights["lstm.bias_ih_l0"][gate * hidden + unit] = bias
        weights["lstm.bias_hh_l0"][gate * hidden + unit] = 0
    snapshot = LstmSnapshot.from_weights(weights, step=0)
    assert activations_of(snapshot, ids[:50]).shape == (50, TINY_MODEL.layers, hidden)
    ranked = {unit.feature: unit for unit in rank_units(snapshot, VOCABULARY, ids)}
    found = ranked["after a space"]
    assert (found.layer, found.unit) == (0, unit)
    assert found.correlation == pytest.approx(1, abs=0.02)


def test_a_text_without_features_ranks_nothing() -> None:
    assert rank_units(make_snapshot(), VOCABULARY, VOCABULARY.encode("")) == ()


def test_the_analysis_says_all_three_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.session.analysis_thread.FIRST_PAUSE", 0.0)
    corpus = make_corpus(make_text(5_000))
    said: list[AnalysisEvent | DuelEvent] = []
    ranked = threading.Event()

    def put(event: AnalysisEvent | DuelEvent) -> None:
        said.append(event)
        if isinstance(event, UnitsRanked):
            ranked.set()

    analysis = Analysis(put)
    analysis.publish(PublishedWeights(snapshot=make_snapshot(), vocabulary=VOCABULARY))
    analysis.start(corpus, split_ids(corpus.ids, 0.1), DuelScores(None))
    assert ranked.wait(PATIENCE)
    analysis.stop()
    indexed, measured, units = said[:3]
    assert isinstance(indexed, NoveltyIndexed)
    assert isinstance(measured, ReferencesMeasured)
    assert isinstance(units, UnitsRanked)
    figures = dict(measured.bits_per_character)
    assert set(figures) == {"bz2", "xz", "5-gram"}
    assert measured.note == ""
    assert all(0 < bits < 8 for bits in figures.values())


@pytest.mark.parametrize(
    ("error", "words"),
    [(MemoryError(), "the system refuses to allocate more"), (OSError("odd"), "a defect: OSError")],
)
def test_an_analysis_that_fails_says_so(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.session.analysis_thread.FIRST_PAUSE", 0.0)
    monkeypatch.setattr("model.session.analysis_thread.NoveltyIndex", Mock(side_effect=error))
    said: list[AnalysisEvent | DuelEvent] = []
    analysis = Analysis(said.append)
    corpus = make_corpus(make_text(50))
    analysis.start(corpus, split_ids(corpus.ids, 0.1), DuelScores(None))
    wait_until(lambda: len(of_kind(said, TextMissing)) == 1, "the event")
    (missing,) = of_kind(said, TextMissing)
    assert words in missing.reason
    analysis.stop()


def test_the_analysis_ends_when_asked() -> None:
    before = set(threading.enumerate())
    analysis = Analysis(lambda _: None)
    corpus = make_corpus(make_text(50))
    analysis.start(corpus, split_ids(corpus.ids, 0.1), DuelScores(None))
    analysis.stop()
    wait_until(lambda: set(threading.enumerate()) <= before, "the end of its threads")
