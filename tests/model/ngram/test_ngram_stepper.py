"""An n-gram model that steps texts: the same probabilities, and a stepper like a network's."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_fixtures import TEXT, VOCABULARY

from model.ngram.ngram_model import NgramModel
from model.ngram.ngram_stepper import NgramStepper
from model.sampling.race import LaneModel, Race

IDS = VOCABULARY.encode(TEXT)


@given(st.integers(0, 5), st.lists(st.integers(0, len(VOCABULARY) - 1), min_size=1, max_size=20))
def test_logits_are_the_logarithms_of_what_scoring_finds(order: int, text: list[int]) -> None:
    model = NgramModel.build(IDS, len(VOCABULARY), order)
    stepper = NgramStepper(model, 2)
    for place, symbol in enumerate(text[:-1]):
        logits = stepper.advance(np.array([symbol, 0]))
        whole = model.probabilities(np.array(text[: place + 2]))
        assert np.exp(logits[text[place + 1], 0]) == pytest.approx(whole[-1], rel=1e-4)
        assert np.exp(logits.astype(np.float64)).sum(axis=0) == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.parametrize("order", [0, 2, 5])
def test_a_state_that_is_restored_goes_on_as_before(order: int) -> None:
    stepper = NgramStepper(NgramModel.build(IDS, len(VOCABULARY), order), 2)
    streams = np.stack([IDS[:9], IDS[20:29]], axis=1).astype(np.intp)
    stepper.prime(streams[:3])
    state = stepper.state
    rest = stepper.prime(streams[3:])
    stepper.reset()
    cold = stepper.prime([])
    stepper.state = state
    assert np.array_equal(stepper.prime(streams[3:]), rest)
    stepper.reset()
    assert np.array_equal(stepper.prime([]), cold)


def test_before_the_first_character_the_frequencies_hold() -> None:
    stepper = NgramStepper(NgramModel.build(IDS, len(VOCABULARY), 3), 1)
    shorter = NgramModel.build(IDS, len(VOCABULARY), 3).probabilities(np.array([IDS[5]]))
    assert np.exp(stepper.prime([])[IDS[5], 0]) == pytest.approx(shorter[0], rel=1e-5)


def test_an_empty_text_leaves_every_character_as_likely() -> None:
    stepper = NgramStepper(NgramModel.build(IDS[:0], 4, 5), 3)
    assert np.allclose(np.exp(stepper.advance(np.array([0, 1, 2]))), 0.25)


def test_a_race_writes_with_counts_as_with_a_network() -> None:
    model = NgramModel.build(IDS, len(VOCABULARY), 5)
    counted = LaneModel(make_stepper=partial(NgramStepper, model))
    lanes = [("counted", 0.0), ("counted", 1.0)]
    race = Race(lanes, {"counted": counted}, VOCABULARY, seed=1, prompt=TEXT[:5])
    calm = "".join(race.step().characters[0] for _ in range(30))
    assert all(calm[i : i + 3] in TEXT for i in range(len(calm) - 2))
