"""When validation is due, and which of two networks counts."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from model_fixtures import TINY_TRAINING, make_checkpoint
from network_fixtures import TEXT_IDS, make_trainer

from model.config import ScoringMode, TrainingConfig
from model.evaluation import scoring as evaluation
from model.training.validation import (
    LONG_PAUSE,
    MAX_PAUSE_SECONDS,
    MAX_VALIDATION_CHARACTERS,
    MAX_VALIDATION_WINDOWS,
    MIN_VALIDATION_CHARACTERS,
    SHARE,
    STREAMS,
    affordable,
    affordable_before,
    guessed_cost,
    is_due,
    judged,
    next_pause,
    validate,
)

AVERAGED = dataclasses.replace(TINY_TRAINING, averaging=0.5)
HELD_OUT = TEXT_IDS[-400:]


def test_no_validation_takes_more_than_its_part_of_the_time_that_is_planned() -> None:
    """C25: a step of 5,500 symbols is dear, and so is the last validation of six seconds."""
    trainer = make_trainer(dataclasses.replace(TINY_TRAINING, averaging=0.0))
    training = TrainingConfig(minutes=0.1, epochs=None)
    speed = 22_000.0
    limit = affordable(trainer, training, speed)
    assert limit == pytest.approx(0.3 * 2 * speed, abs=1)
    assert guessed_cost(trainer, 10**9, speed, limit) <= 0.05 * 6
    assert affordable(trainer, training, 10.0) == MIN_VALIDATION_CHARACTERS
    assert affordable(trainer, training, 1e9) == MAX_VALIDATION_CHARACTERS
    assert affordable(trainer, TrainingConfig(epochs=1), speed) == MAX_VALIDATION_CHARACTERS


@pytest.mark.parametrize("minutes", [None, 0.5, 5.0, 500.0])
def test_windows_cost_the_characters_that_are_read_in_them(minutes: float | None) -> None:
    """A limit of 262,144 characters once gave 32,768 windows, and one less 4,369 of 60."""
    training = dataclasses.replace(
        TINY_TRAINING, scoring="last", sequence=60, window_stride=3, minutes=minutes, averaging=0.0
    )
    trainer, speed = make_trainer(TINY_TRAINING), 10_000.0
    limit = affordable(trainer, training, speed)
    assert limit <= 60 * MAX_VALIDATION_WINDOWS
    cost = guessed_cost(trainer, 10**9, speed, limit)
    assert minutes is None or cost <= SHARE * 60 * minutes
    assert (minutes in {None, 500.0}) == (limit == 60 * MAX_VALIDATION_WINDOWS)


@pytest.mark.parametrize(
    ("scoring", "saved", "expected"),
    [
        ("every", {"validation_characters": 9_000}, 9_000),
        ("every", {}, MAX_VALIDATION_CHARACTERS),
        ("last", {"validation_characters": 9_000}, 9_000),
        ("last", {"validation_characters": MAX_VALIDATION_CHARACTERS}, 16 * MAX_VALIDATION_WINDOWS),
        ("last", {}, 16 * MAX_VALIDATION_WINDOWS),
        ("last", {"validation_characters": None}, None),
    ],
)
def test_a_resumed_run_scores_what_it_has_scored(
    scoring: ScoringMode, saved: dict[str, int | None], expected: int | None
) -> None:
    metadata = make_checkpoint(step=1, nats=2.0, best_nats=2.0).metadata
    training = dataclasses.replace(metadata.training, scoring=scoring, sequence=16)
    metadata = dataclasses.replace(metadata, training=training, progress=saved)
    assert affordable_before(metadata) == expected
    fresh = dataclasses.replace(metadata, best_nats_per_character=None, progress={})
    assert affordable_before(fresh) is None


def test_pauses_grow_from_one_second_to_ten() -> None:
    moments = [0.0]
    while moments[-1] < 60:
        moments.append(moments[-1] + next_pause(moments[-1], 0.0))
    assert moments[:5] == [0, 1, 2, 3, 4.5]
    assert moments[-1] - moments[-2] == MAX_PAUSE_SECONDS


@pytest.mark.parametrize(
    ("rested", "steps_left", "timed_pause", "expected"),
    [
        (False, 0, None, True),  # the end of an epoch
        (False, 0, 15.0, True),
        (False, 0, LONG_PAUSE, False),
        (True, 0, LONG_PAUSE, True),
        (True, 51, 15.0, True),
        (True, 50, 15.0, False),  # the end is near, and is validated anyway
        (True, 50, LONG_PAUSE, True),
        (True, 1, None, False),
        (False, 51, 15.0, False),
    ],
)
def test_a_validation_waits_for_an_end_that_is_near(
    rested: bool, steps_left: int, timed_pause: float | None, expected: bool
) -> None:
    assert is_due(rested, steps_left, 100.0, timed_pause) is expected


@given(trained=st.floats(0, 1e6), cost=st.floats(0, 1e4))
def test_validation_takes_a_twentieth_of_the_time_at_most(trained: float, cost: float) -> None:
    assert cost <= SHARE * next_pause(trained, cost) * (1 + 1e-9)


def test_the_first_cost_is_guessed_from_speed_and_networks() -> None:
    alone = make_trainer(dataclasses.replace(TINY_TRAINING, averaging=0.0))
    both = make_trainer(AVERAGED)
    assert len(both.networks) == 2 * len(alone.networks)
    assert guessed_cost(both, 1000, 500.0) == 2 * guessed_cost(alone, 1000, 500.0)
    assert guessed_cost(both, 1000, 1000.0) == guessed_cost(alone, 1000, 500.0)
    assert math.isfinite(guessed_cost(alone, 1000, 0.0))


def test_the_guess_for_a_long_text_counts_what_is_scored_of_it() -> None:
    """Or the first validation of a gigabyte would come after hours."""
    trainer = make_trainer(TINY_TRAINING)
    whole = guessed_cost(trainer, MAX_VALIDATION_CHARACTERS, 500.0)
    assert guessed_cost(trainer, 100_000_000, 500.0) == whole


def test_the_average_leads_once_it_is_better() -> None:
    trainer = make_trainer(AVERAGED)
    with torch.no_grad():  # the last weights are spoilt, the averaged ones are not
        trainer.network.head.weight.fill_(3.0)
    found = validate(trainer, HELD_OUT, AVERAGED, lambda: False)
    assert trainer.average_leads
    assert found is not None
    assert found.nats == evaluation.run_to_end(evaluation.stateful(trainer.best_network, HELD_OUT))


def test_the_last_weights_lead_until_then() -> None:
    trainer = make_trainer(AVERAGED)
    assert trainer._weights.average is not None
    with torch.no_grad():
        trainer._weights.average.network.head.weight.fill_(3.0)
    found = validate(trainer, HELD_OUT, AVERAGED, lambda: False)
    assert not trainer.average_leads
    assert found is not None
    assert found.nats == evaluation.run_to_end(evaluation.stateful(trainer.network, HELD_OUT))


def test_a_loss_that_is_no_number_stays_none() -> None:
    trainer = make_trainer(AVERAGED)
    with torch.no_grad():
        trainer.network.head.weight.fill_(math.nan)
    found = validate(trainer, HELD_OUT, AVERAGED, lambda: False)
    assert found is not None
    assert math.isnan(found.nats)
    assert not trainer.average_leads


@pytest.mark.parametrize("scoring", ["every", "last"])
def test_hurry_ends_it(scoring: ScoringMode) -> None:
    training = dataclasses.replace(AVERAGED, scoring=scoring)
    assert validate(make_trainer(AVERAGED), HELD_OUT, training, lambda: True) is None


def test_a_part_that_stays_far_worse_than_the_others_is_lost() -> None:
    length = 2_000
    losses = np.full(STREAMS * length, 1.5, np.float32)
    found = judged(1.5, losses)
    assert (found.streams, found.lost) == (STREAMS, 0)
    losses[3 * length : 4 * length] = 12.9
    found = judged(2.2, losses)
    assert found.lost == 1
    assert found.worst == pytest.approx(12.9, abs=1e-3)
    assert found.lost_sentence.startswith(f"1 of {STREAMS} held-out parts stays lost (up to 12.9")


def test_parts_that_are_merely_harder_are_not_lost() -> None:
    losses = np.repeat(np.linspace(1.2, 2.0, STREAMS, dtype=np.float32), 2_000)
    assert judged(1.6, losses).lost == 0
    assert judged(4.4, np.full(STREAMS * 2_000, 4.4, np.float32)).lost == 0


@pytest.mark.parametrize("characters", [20_000, 20_001, 19_999, 17_000])
@pytest.mark.parametrize("limit", [16, 4_000, 16 * 1_062, 10**9])
def test_of_a_long_text_so_many_characters_are_scored_at_even_distances(
    characters: int, limit: int
) -> None:
    ids = np.resize(TEXT_IDS, characters)
    network = make_trainer(AVERAGED).network
    count = evaluation.scored(len(ids), STREAMS, limit)
    assert count <= max(limit + STREAMS, STREAMS)
    losses = np.full(count, np.nan, np.float32)
    limited = evaluation.stateful(network, ids, streams=STREAMS, losses=losses, limit=limit)
    nats = evaluation.run_to_end(limited)
    assert not np.isnan(losses).any()
    assert nats == pytest.approx(losses.mean(), abs=1e-5)
    whole = np.zeros(len(ids) - 1, np.float32)
    evaluation.run_to_end(evaluation.stateful(network, ids, streams=STREAMS, losses=whole))
    streams, stride = evaluation.cut(len(ids), STREAMS)
    length = -(-count // streams)
    for stream in range(streams):
        piece = losses[stream * length : (stream + 1) * length]
        expected = whole[stream * stride : stream * stride + len(piece)]
        assert np.allclose(piece, expected, atol=1e-5)
    if length >= evaluation.MIN_STREAM_CHARACTERS:
        assert judged(nats, losses).streams == streams


def test_of_many_windows_so_many_are_scored_at_even_distances() -> None:
    ids = np.resize(TEXT_IDS, 3_000)
    network = make_trainer(AVERAGED).network
    every = [
        evaluation.run_to_end(
            evaluation.windowed(network, ids[start : start + 11], window=10, last_only=True)
        )
        for start in (0, 1494, 2988)
    ]
    few = evaluation.windowed(network, ids, window=10, stride=3, last_only=True, limit=3)
    assert evaluation.run_to_end(few) == pytest.approx(np.mean(every), abs=1e-5)
