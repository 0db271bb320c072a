"""When validation is due, and which of two networks counts."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from model_fixtures import TINY_TRAINING
from network_fixtures import TEXT_IDS, make_trainer

from model import evaluation
from model.config import Scoring
from model.validation import LONGEST_PAUSE, SHARE, next_pause, validate

AVERAGED = dataclasses.replace(TINY_TRAINING, averaging=0.5)
HELD_OUT = TEXT_IDS[-400:]


def test_pauses_grow_from_one_second_to_ten() -> None:
    moments = [0.0]
    while moments[-1] < 60:
        moments.append(moments[-1] + next_pause(moments[-1], 0.0))
    assert moments[:5] == [0, 1, 2, 3, 4.5]
    assert moments[-1] - moments[-2] == LONGEST_PAUSE


@given(trained=st.floats(0, 1e6), cost=st.floats(0, 1e4))
def test_validation_takes_a_tenth_of_the_time_at_most(trained: float, cost: float) -> None:
    assert cost <= SHARE * next_pause(trained, cost) * (1 + 1e-9)


def test_the_average_leads_once_it_is_better() -> None:
    trainer = make_trainer(AVERAGED)
    with torch.no_grad():  # the last weights are spoilt, the averaged ones are not
        trainer.network.head.weight.fill_(3.0)
    nats = validate(trainer, HELD_OUT, AVERAGED, lambda: False)
    assert trainer.average_leads
    assert nats == evaluation.run_to_end(evaluation.stateful(trainer.best_network, HELD_OUT))


def test_the_last_weights_lead_until_then() -> None:
    trainer = make_trainer(AVERAGED)
    assert trainer._average is not None
    with torch.no_grad():
        trainer._average.network.head.weight.fill_(3.0)
    nats = validate(trainer, HELD_OUT, AVERAGED, lambda: False)
    assert not trainer.average_leads
    assert nats == evaluation.run_to_end(evaluation.stateful(trainer.network, HELD_OUT))


def test_a_loss_that_is_no_number_stays_none() -> None:
    trainer = make_trainer(AVERAGED)
    with torch.no_grad():
        trainer.network.head.weight.fill_(math.nan)
    nats = validate(trainer, HELD_OUT, AVERAGED, lambda: False)
    assert nats is not None
    assert math.isnan(nats)
    assert not trainer.average_leads


@pytest.mark.parametrize("scoring", ["every", "last"])
def test_hurry_ends_it(scoring: Scoring) -> None:
    training = dataclasses.replace(AVERAGED, scoring=scoring)
    assert validate(make_trainer(AVERAGED), HELD_OUT, training, lambda: True) is None
