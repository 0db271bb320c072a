"""The models of the ladder: n-grams are counted only if a race asks, once the text is there."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from model_fixtures import VOCABULARY, make_corpus, make_snapshot, make_text
from patience import PATIENCE

from corpus import split_ids
from model.commands import StartRace
from model.config import Lane
from model.events import AnalysisEvent, DuelEvent, UnitsRanked
from model.network.published import PublishedWeights
from model.ngram.ngram_model import NgramModel
from model.session.analysis_thread import Analysis
from model.session.duel_scores import DuelScores
from model.session.race_runner import LaneSource

TEXT = make_text(5_000)
CORPUS = make_corpus(TEXT)
SPLIT = split_ids(CORPUS.ids, 0.2)
LADDER = StartRace(lanes=(Lane(model="order 2", temperature=1.0),))
TEMPERATURES = StartRace(lanes=(Lane(model="live", temperature=1.0),))


class Offers:
    """What an analysis of the text offered to the race, and when it had ranked the units."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("model.session.analysis_thread.FIRST_PAUSE", 0.0)
        self.sources: list[LaneSource] = []
        self.all_there = threading.Event()
        self.ranked = threading.Event()
        self.analysis = Analysis(self.put, self.offer)

    def put(self, event: AnalysisEvent | DuelEvent) -> None:
        if isinstance(event, UnitsRanked):  # n-grams that are wanted come before
            self.ranked.set()

    def offer(self, source: LaneSource) -> None:
        self.sources.append(source)
        if len(self.sources) == 3:
            self.all_there.set()


@pytest.mark.parametrize("before", [True, False])
def test_the_training_part_is_counted_once_and_the_held_out_part_scored(
    before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = Offers(monkeypatch)
    if before:
        offers.analysis.post(LADDER)
    offers.analysis.start(CORPUS, SPLIT, DuelScores(None))
    offers.analysis.post(LADDER)
    assert offers.all_there.wait(PATIENCE)
    offers.analysis.post(LADDER)
    offers.analysis.stop()
    assert [source.kind for source in offers.sources] == ["order 0", "order 2", "order 5"]
    for source, order in zip(offers.sources, (0, 2, 5), strict=True):
        model = NgramModel.build(SPLIT.train, len(VOCABULARY), order)
        assert source.bits_per_character == pytest.approx(model.nats(SPLIT.held_out) / math.log(2))
        logits = source.model.make_stepper(2).prime([np.array([0, 1])])
        assert np.allclose(np.exp(logits).sum(axis=0), 1)


def test_a_race_of_temperatures_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    offers = Offers(monkeypatch)
    offers.analysis.post(TEMPERATURES)
    offers.analysis.publish(PublishedWeights(snapshot=make_snapshot(), vocabulary=VOCABULARY))
    offers.analysis.start(CORPUS, SPLIT, DuelScores(None))
    assert offers.ranked.wait(PATIENCE)
    offers.analysis.stop()
    assert offers.sources == []


def test_a_text_without_a_held_out_part_has_no_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    offers = Offers(monkeypatch)
    offers.analysis.post(LADDER)
    offers.analysis.start(CORPUS, split_ids(CORPUS.ids, 0.0), DuelScores(None))
    assert offers.all_there.wait(PATIENCE)
    offers.analysis.stop()
    assert {source.bits_per_character for source in offers.sources} == {None}
