"""An n-gram model: its probabilities against the definition, what it scores, what it takes."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from corpus import CorpusOptions, load_corpus, resolve_source, split_ids
from model.ngram import ngram_model
from model.ngram.errors import BuildCancelled
from model.ngram.ngram_model import BYTES_PER_CHARACTER, MAX_ORDER, NgramModel

SYMBOLS = 5
ids_of_texts = st.lists(st.integers(0, SYMBOLS - 1), max_size=60)
orders = st.integers(0, 4)


def array(ids: Sequence[int]) -> NDArray[Any]:
    return np.array(ids, np.uint8)


def by_definition(text: Sequence[int], order: int, context: Sequence[int]) -> list[float]:
    """Returns interpolated modified Kneser-Ney probabilities, written after Chen & Goodman."""
    probabilities = [1 / SYMBOLS] * SYMBOLS
    for length in range(order + 1):
        size = length + 1
        grams = [tuple(text[i : i + size]) for i in range(len(text) - size + 1)]
        counts = Counter(grams)
        if length < order and len(text) > size:
            before = {(text[i - 1] if i else None, gram) for i, gram in enumerate(grams)}
            counts = Counter(gram for _, gram in before)
        n = [sum(count == j for count in counts.values()) for j in range(5)]
        discounts = [0.0, 0.5, 0.75, 1.0]
        if all(n[1:]):
            y = n[1] / (n[1] + 2 * n[2])
            raw = [j - (j + 1) * y * n[j + 1] / n[j] for j in (1, 2, 3)]
            discounts[1:] = [min(j, max(0.1, d)) for j, d in zip((1, 2, 3), raw, strict=True)]
        if length > len(context):
            break
        wanted = tuple(context[len(context) - length :])
        after = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == wanted}
        if not after:
            break
        total = sum(after.values())
        share = sum(discounts[min(3, count)] for count in after.values()) / total
        probabilities = [
            (after.get(w, 0) - discounts[min(3, after.get(w, 0))]) / total + share * below
            for w, below in enumerate(probabilities)
        ]
    return probabilities


@given(text=ids_of_texts, order=orders, context=ids_of_texts)
def test_probabilities_are_those_of_the_definition(
    text: list[int], order: int, context: list[int]
) -> None:
    model = NgramModel.build(array(text), SYMBOLS, order)
    found = [model.probabilities(array([*context, w]))[-1] for w in range(SYMBOLS)]
    assert found == pytest.approx(by_definition(text, order, context), rel=1e-5)


@given(text=ids_of_texts, order=orders, context=ids_of_texts)
def test_probabilities_sum_to_one_and_none_is_zero(
    text: list[int], order: int, context: list[int]
) -> None:
    model = NgramModel.build(array(text), SYMBOLS, order)
    found = [float(model.probabilities(array([*context, w]))[-1]) for w in range(SYMBOLS)]
    assert sum(found) == pytest.approx(1, abs=1e-5)
    assert min(found) > 0


@given(text=ids_of_texts, order=orders, scored=ids_of_texts)
def test_a_text_scored_in_parts_has_the_loss_of_the_whole(
    text: list[int], order: int, scored: list[int]
) -> None:
    model = NgramModel.build(array(text), SYMBOLS, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngram_model, "SCORED_TOGETHER", 7)
        nats = model.nats(array(scored))
    if scored:
        assert nats == pytest.approx(-np.log(model.probabilities(array(scored))).mean())
    else:
        assert math.isnan(nats)


@given(
    text=ids_of_texts,
    scored=st.lists(st.integers(0, SYMBOLS - 1), min_size=2, max_size=40),
    share=st.floats(0.01, 0.99),
    data=st.data(),
)
def test_a_mixture_has_a_share_of_each_models_probabilities(
    text: list[int], scored: list[int], share: float, data: st.DataObject
) -> None:
    model = NgramModel.build(array(text), SYMBOLS, 3)
    others = data.draw(st.lists(st.floats(0, 30, width=32), min_size=len(scored) - 1,
                                max_size=len(scored) - 1))  # fmt: skip
    losses = np.array(others, np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngram_model, "SCORED_TOGETHER", 7)
        alone, mixed = model.nats_alone_and_mixed(array(scored), losses, share)
    own = model.probabilities(array(scored))[1:]
    both = share * own + (1 - share) * np.exp(-losses.astype(np.float64))
    assert mixed == pytest.approx(-np.log(both).mean())
    assert alone == pytest.approx(model.nats(array(scored)))


def test_order_zero_knows_frequencies_alone() -> None:
    model = NgramModel.build(array([0] * 30 + [1] * 10), 3, 0)
    first, second, third = (float(model.probabilities(array([2, w]))[1]) for w in range(3))
    assert first == pytest.approx(0.75, abs=0.05)
    assert second == pytest.approx(0.25, abs=0.05)
    assert 0 < third < 0.06


def test_more_context_predicts_a_cycle_better() -> None:
    cycle = array([0, 1, 0, 2] * 100)
    nats = [NgramModel.build(cycle, 3, order).nats(cycle) for order in range(3)]
    assert nats[0] > 1
    assert 0.3 < nats[1] < 0.5
    assert nats[2] < 0.1


def test_a_symbol_number_beyond_a_byte_is_counted_as_itself() -> None:
    ids = np.array([299, 43] * 50, np.uint16)  # 299 is 43 in a byte
    model = NgramModel.build(ids, 300, 1)
    assert model.probabilities(np.array([299, 43], np.uint16))[1] > 0.9
    assert model.probabilities(np.array([299, 299], np.uint16))[1] < 0.1


def test_the_counting_stops_when_asked() -> None:
    asked = iter([False, False, True])
    with pytest.raises(BuildCancelled):
        NgramModel.build(array([0, 1] * 9), SYMBOLS, 5, cancelled=lambda: next(asked))
    assert next(asked, None) is None


def test_of_a_too_large_text_the_last_part_is_counted_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ngram_model, "MAX_CHARACTERS", 20)
    model = NgramModel.build(array([0] * 1000 + [1] * 20), SYMBOLS, 5)
    assert model.note == "the 5-gram counts the last 20 of 1,020 characters"
    assert model.probabilities(array([1]))[0] > model.probabilities(array([0]))[0]
    assert NgramModel.build(array([1] * 20), SYMBOLS, 5).note == ""


def test_building_stays_within_the_promised_memory_and_beats_every_shorter_context() -> None:
    corpus = load_corpus(resolve_source("python-prose"), CorpusOptions())
    split = split_ids(corpus.ids, 0.1)
    tracemalloc.start()
    try:
        model = NgramModel.build(split.train, len(corpus.vocabulary), MAX_ORDER)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < BYTES_PER_CHARACTER * len(split.train)
    assert model.nbytes < 30 * len(split.train)
    nats = [
        NgramModel.build(split.train, len(corpus.vocabulary), order).nats(split.held_out)
        for order in range(MAX_ORDER)
    ]
    assert nats[0] > nats[1] > nats[2] > nats[3] > nats[4] > nats[5]
    assert nats[5] < 1.7
