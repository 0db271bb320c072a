"""What a text needs without a network: compressors, and n-grams of its training part."""

from __future__ import annotations

import math

import pytest
from model_fixtures import VOCABULARY, make_corpus, make_text

from corpus import split_ids
from model.ngram.ngram_model import NgramModel
from model.session.analysis_thread import references
from model.session.counted_ngrams import CountedNgrams

CORPUS = make_corpus(make_text(500))


def test_the_n_grams_of_the_training_part_are_scored_on_the_held_out_part() -> None:
    split = split_ids(CORPUS.ids, 0.2)
    measured = references(CORPUS, CountedNgrams(split, VOCABULARY))
    figures = dict(measured.bits_per_character)
    assert list(figures) == ["bz2", "xz", "5-gram"]
    model = NgramModel.build(split.train, len(VOCABULARY), 5)
    assert figures["5-gram"] == pytest.approx(model.nats(split.held_out) / math.log(2))
    assert measured.note == ""


def test_without_a_held_out_part_there_are_compressors_alone() -> None:
    measured = references(CORPUS, CountedNgrams(split_ids(CORPUS.ids, 0.0), VOCABULARY))
    assert [name for name, _ in measured.bits_per_character] == ["bz2", "xz"]


def test_what_is_cancelled_leaves_out_the_rest() -> None:
    answers = iter([False, False, True])  # each compressor asks once

    def cancelled() -> bool:
        return next(answers)

    ngrams = CountedNgrams(split_ids(CORPUS.ids, 0.1), VOCABULARY, cancelled)
    measured = references(CORPUS, ngrams, cancelled)
    assert [name for name, _ in measured.bits_per_character] == ["bz2", "xz"]


def test_a_text_of_which_a_part_is_counted_has_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.ngram.ngram_model.MAX_CHARACTERS", 100)
    split = split_ids(CORPUS.ids, 0.1)
    note = f"the 5-gram counts the last 100 of {len(split.train):,} characters"
    assert references(CORPUS, CountedNgrams(split, VOCABULARY)).note == note


def test_the_chart_and_the_race_share_what_is_counted() -> None:
    ngrams = CountedNgrams(split_ids(CORPUS.ids, 0.1), VOCABULARY)
    references(CORPUS, ngrams)
    assert ngrams.model(5) is ngrams.model(5)
    assert [lane.bits_per_character for lane in ngrams.lanes()] == [
        ngrams.bits(order) for order in (0, 2, 5)
    ]
