"""One duel: what counts as a guess, what giving up counts as, and what a run's file may hold."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import MAX_SEED
from model.duel.game import Duel
from model.duel.passage import CONTEXT, LETTERS, MIN_CHARACTERS, choose_passage
from model.duel.score import (
    LetterPlayed,
    recorded_letters,
    score_of,
    to_json_line,
)

LETTER = LetterPlayed(
    seed=5, place=3, step=70, rank=2, gave_up=False, model_rank=1, model_bits=0.25
)


def duel() -> Duel:
    return Duel("the Rat\n", 3, " \neaRtTh", seed=5)


def test_only_new_letters_of_the_text_count_as_guesses() -> None:
    it = duel()
    assert [it.guess(symbol) for symbol in "eeé ♥"] == [
        "wrong",
        "tried",
        "unknown",
        "right",
        "unknown",
    ]
    assert it.solved[0].rank == 2
    assert it.tried == []
    assert [it.guess(symbol) for symbol in "rR"] == ["unknown", "right"], "case counts"
    assert [it.guess(symbol) for symbol in "at\n"] == ["right"] * 3
    assert it.is_over
    assert it.guess("e") == "over"
    assert [solved.rank for solved in it.solved] == [2, 1, 1, 1, 1]


@given(tried=st.lists(st.sampled_from("\neaRtTh"), max_size=7))
def test_the_letters_that_were_not_tried_follow_by_their_frequency(tried: list[str]) -> None:
    it = Duel("thT", 2, " \neaRtTh", seed=5)
    wrong = [symbol for symbol in dict.fromkeys(tried) if symbol != "T"]
    for symbol in wrong:
        it.guess(symbol)
    it.give_up()
    order = [*wrong, *(symbol for symbol in " \neaRtTh" if symbol not in wrong)]
    assert it.solved[0].rank == order.index("T") + 1
    assert it.solved[0].gave_up
    it.give_up()
    assert len(it.solved) == 1, "the passage is over"


def test_both_are_scored_on_the_same_letters() -> None:
    it = duel()
    it.guess("e")
    it.guess(" ")
    it.guess("R")
    it.judge(replace(LETTER, seed=6))
    it.judge(replace(LETTER, place=5))
    assert it.played_at(3) is None, "of another passage, or not solved yet"
    it.judge(LETTER)
    assert it.played_at(3) == LETTER
    score = it.score
    assert score is not None
    assert (score.human.letters, score.model_bits, score.given_up) == (1, 0.25, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"event": "step"}, {"rank": 0}, {"rank": True}, {"rank": 10**9}, {"rank": "2"},
        {"model_bits": float("nan")}, {"model_bits": float("inf")}, {"model_bits": -1},
        {"gave_up": 1}, {"step": None}, {"place": [1]}, {"model_rank": 1.5},
    ],
)  # fmt: skip
def test_a_foreign_line_is_no_letter(change: dict[str, object]) -> None:
    record = json.loads(to_json_line(LETTER))
    assert list(recorded_letters([record, {**record, **change}, {}])) == [LETTER]


@pytest.mark.parametrize("seed", [0, 2**60, MAX_SEED])
def test_every_seed_is_read_back(seed: int) -> None:
    letter = replace(LETTER, seed=seed)
    assert list(recorded_letters([json.loads(to_json_line(letter))])) == [letter]


def test_duels_are_scored_together() -> None:
    letters = [LETTER, replace(LETTER, gave_up=True, rank=9, model_bits=0.75)]
    score = score_of(letters)
    assert score is not None
    assert (score.human.letters, score.given_up, score.model_bits) == (2, 1, 0.5)
    assert score_of([]) is None


@given(characters=st.integers(0, 3000), seed=st.integers(0, 10**6))
def test_a_passage_lies_in_the_held_out_text(characters: int, seed: int) -> None:
    passage = choose_passage(characters, seed)
    if characters < MIN_CHARACTERS:
        assert passage is None
        return
    assert passage == choose_passage(characters, seed)
    assert passage is not None
    assert 0 <= passage.start < passage.first_letter < passage.end <= characters
    assert passage.first_letter - passage.start == min(CONTEXT, characters // 2)
    assert passage.end - passage.first_letter <= LETTERS
