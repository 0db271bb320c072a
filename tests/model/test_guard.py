"""The guard by itself; what it does to the weights is in `test_trainer`."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.guard import FiniteGuard, Verdict

BAD = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("bad", BAD)
def test_a_loss_or_a_gradient_that_is_not_finite_is_not_applied(bad: float) -> None:
    assert FiniteGuard().judge(bad, 1.0) is Verdict.SKIP
    assert FiniteGuard().judge(1.0, bad) is Verdict.SKIP
    assert FiniteGuard().judge(1e300, 1e300) is Verdict.APPLY


def test_three_in_a_row_roll_back_and_halve_the_rate_until_it_gives_up() -> None:
    guard = FiniteGuard()
    verdicts = [guard.judge(math.nan, 1.0) for _ in range(12)]
    skips = [Verdict.SKIP, Verdict.SKIP]
    assert verdicts == [*skips, Verdict.ROLL_BACK] * 3 + [*skips, Verdict.GIVE_UP]
    assert guard.learning_rate_scale == 1 / 8


def test_a_good_step_between_begins_the_count_anew() -> None:
    guard = FiniteGuard()
    for _ in range(20):
        assert guard.judge(math.nan, 1.0) is Verdict.SKIP
        assert guard.judge(1.0, math.nan) is Verdict.SKIP
        assert guard.judge(1.0, 1.0) is Verdict.APPLY
    assert guard.learning_rate_scale == 1


@given(steps=st.lists(st.sampled_from([1.0, *BAD]), max_size=60))
def test_nothing_but_finite_numbers_is_ever_applied(steps: list[float]) -> None:
    guard = FiniteGuard()
    for loss in steps:
        verdict = guard.judge(loss, 1.0)
        assert (verdict is Verdict.APPLY) == math.isfinite(loss)
        assert guard.learning_rate_scale == 0.5**guard.roll_backs
        if verdict is Verdict.GIVE_UP:
            break
