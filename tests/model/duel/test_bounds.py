"""Shannon's bounds: what he published, what they must never do, and another way to compute them."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.duel.bounds import bounds_of

RANKS = st.lists(st.integers(1, 30), min_size=1, max_size=200)

LAST_COLUMN = (80, 7, 0, 3, 4, 2, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1)
"""Shannon 1951, table I: of 100 letters after 100 known ones, those right at each guess."""


def fitted(counts: Counter[int]) -> list[float]:
    """Counts that never rise, by the min-max formula of isotonic regression."""
    most = max(counts)
    values = [counts[rank] for rank in range(1, most + 1)]

    def mean(first: int, last: int) -> float:
        return sum(values[first : last + 1]) / (last - first + 1)

    return [
        min(max(mean(first, last) for last in range(place, most)) for first in range(place + 1))
        for place in range(most)
    ]


def test_shannons_hundred_letters_give_his_bounds() -> None:
    ranks = [rank for rank, count in enumerate(LAST_COLUMN, 1) for _ in range(count)]
    bounds = bounds_of(ranks)
    assert bounds is not None
    assert (round(bounds.lower, 1), round(bounds.upper, 1), bounds.letters) == (0.6, 1.3, 100)


@given(ranks=RANKS)
def test_the_bounds_are_in_order_and_within_the_alphabet(ranks: list[int]) -> None:
    bounds = bounds_of(ranks)
    assert bounds is not None
    assert bounds.letters == len(ranks)
    assert 0 <= bounds.lower <= bounds.upper <= math.log2(max(ranks)) + 1e-9


@given(ranks=RANKS)
def test_the_bounds_are_those_of_equation_17(ranks: list[int]) -> None:
    q = [count / len(ranks) for count in fitted(Counter(ranks))]
    falls = [a - b for a, b in pairwise([*q, 0.0])]
    lower = sum(i * fall * math.log2(i) for i, fall in enumerate(falls, 1))
    upper = -sum(a * math.log2(a) for a in q if a > 0)
    bounds = bounds_of(ranks)
    assert bounds is not None
    assert bounds.lower == pytest.approx(lower, abs=1e-9)
    assert bounds.upper == pytest.approx(upper, abs=1e-9)


@given(letters=st.integers(1, 1000))
def test_letters_that_are_always_guessed_at_once_cost_nothing(letters: int) -> None:
    bounds = bounds_of([1] * letters)
    assert bounds is not None
    assert (bounds.lower, bounds.upper) == (0, 0)


@given(symbols=st.integers(1, 300))
def test_guesses_at_random_cost_the_whole_alphabet(symbols: int) -> None:
    bounds = bounds_of(range(1, symbols + 1))
    assert bounds is not None
    assert bounds.lower == pytest.approx(math.log2(symbols))
    assert bounds.upper == pytest.approx(math.log2(symbols))


def test_a_hostile_rank_costs_no_memory() -> None:
    assert bounds_of([10**15, 1]) is not None
    assert bounds_of([]) is None
