"""The guard by itself; what it does to the weights is in `test_trainer`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.training.divergence_guard import DivergenceGuard, Verdict

BAD = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("bad", BAD)
def test_a_loss_or_a_gradient_that_is_not_finite_is_not_applied(bad: float) -> None:
    assert DivergenceGuard().judge(bad, 1.0) is Verdict.SKIP
    assert DivergenceGuard().judge(1.0, bad) is Verdict.SKIP
    assert DivergenceGuard().judge(1e300, 1e300) is Verdict.APPLY


def test_three_in_a_row_roll_back_and_halve_the_rate_until_it_gives_up() -> None:
    guard = DivergenceGuard()
    verdicts = [guard.judge(math.nan, 1.0) for _ in range(12)]
    skips = [Verdict.SKIP, Verdict.SKIP]
    assert verdicts == [*skips, Verdict.ROLL_BACK] * 3 + [*skips, Verdict.GIVE_UP]
    assert guard.learning_rate_scale == 1 / 8


def test_a_good_step_between_begins_the_count_anew() -> None:
    guard = DivergenceGuard()
    for _ in range(20):
        assert guard.judge(math.nan, 1.0) is Verdict.SKIP
        assert guard.judge(1.0, math.nan) is Verdict.SKIP
        assert guard.judge(1.0, 1.0) is Verdict.APPLY
    assert guard.learning_rate_scale == 1


@given(steps=st.lists(st.sampled_from([1.0, *BAD]), max_size=60))
def test_nothing_but_finite_numbers_is_ever_applied(steps: list[float]) -> None:
    guard = DivergenceGuard()
    for loss in steps:
        verdict = guard.judge(loss, 1.0)
        assert (verdict is Verdict.APPLY) == math.isfinite(loss)
        assert guard.learning_rate_scale == 0.5**guard.roll_backs
        if verdict is Verdict.GIVE_UP:
            break


# --- explosions -----------------------------------------------------------------------------------


def judge_all(guard: DivergenceGuard, losses: Iterable[float]) -> list[Verdict]:
    return [guard.judge(loss, 1.0) for loss in losses]


def noisy(level: Iterable[float], deviation: float, seed: int = 0) -> list[float]:
    random = np.random.default_rng(seed)
    return [value + deviation * float(random.standard_normal()) for value in level]


def learning(steps: int, start: float = 4.2, end: float = 1.2) -> list[float]:
    """Returns a loss that falls fast at first, as real ones do."""
    return [end + (start - end) / (1 + step / 40) for step in range(steps)]


@given(
    deviation=st.floats(0.0, 0.3),
    seed=st.integers(0, 2**32),
    start=st.floats(2.0, 6.0),
    end=st.floats(0.5, 1.9),
)
@settings(max_examples=60, deadline=None)
def test_ordinary_learning_never_triggers(
    deviation: float, seed: int, start: float, end: float
) -> None:
    losses = noisy(learning(2000, start, end), deviation, seed)
    assert set(judge_all(DivergenceGuard(), losses)) == {Verdict.APPLY}


def test_an_explosion_is_caught_within_thirty_steps() -> None:
    """The classic notebook's epochs 55 to 57: 1.30, 1.60, then 4.73 nats."""
    guard = DivergenceGuard()
    calm = noisy(learning(800, end=1.15), 0.12)
    assert set(judge_all(guard, calm)) == {Verdict.APPLY}
    assert guard.is_stable
    rising = noisy([1.3 + 0.25 * step for step in range(14)] + [4.8] * 16, 0.3)
    assert judge_all(guard, rising).count(Verdict.ROLL_BACK) == 1
    assert guard.learning_rate_scale == 0.5
    assert "nats from 1." in guard.reason


def test_a_loss_far_worse_than_that_of_a_blind_network_is_caught_at_once() -> None:
    guard = DivergenceGuard()
    verdicts = judge_all(guard, [4.1, 4.0, 3.9, *[14.6] * 5])
    assert verdicts[:7] == [Verdict.APPLY] * 7
    assert verdicts[7] is Verdict.ROLL_BACK


def test_a_strange_batch_is_no_explosion() -> None:
    guard = DivergenceGuard()
    losses = noisy([1.3] * 1000, 0.1)
    for place in range(100, 1000, 50):
        losses[place : place + 4] = [5.0] * 4
    assert set(judge_all(guard, losses)) == {Verdict.APPLY}


def test_another_language_that_is_learnt_is_no_explosion() -> None:
    guard = DivergenceGuard()
    losses = noisy([1.3] * 500 + [1.5 + 3.5 / (1 + step / 25) for step in range(800)], 0.1)
    assert set(judge_all(guard, losses)) == {Verdict.APPLY}


def test_a_ruin_that_only_half_recovers_is_an_explosion() -> None:
    guard = DivergenceGuard()
    losses = noisy([1.3] * 500 + [3.2 + 6 / (1 + step / 25) for step in range(400)], 0.1)
    assert Verdict.ROLL_BACK in judge_all(guard, losses)


@pytest.mark.parametrize("suspect", [9.0, math.nan])
def test_it_is_not_calm_while_losses_are_suspect(suspect: float) -> None:
    guard = DivergenceGuard()
    calm = []
    for loss in [*[2.0] * 100, suspect, 2.0]:
        guard.judge(loss, 1.0)
        calm.append(guard.is_stable)
    assert calm == [*[True] * 100, False, True]


def test_the_fourth_explosion_ends_it() -> None:
    guard = DivergenceGuard()
    verdicts: list[Verdict] = []
    for _ in range(4):
        verdicts += judge_all(guard, [2.0] * 100 + [9.0] * 5)
    troubles = [verdict for verdict in verdicts if verdict is not Verdict.APPLY]
    assert troubles == [Verdict.ROLL_BACK] * 3 + [Verdict.GIVE_UP]
    assert guard.learning_rate_scale == 1 / 8


def test_without_spikes_only_numbers_that_are_not_finite_count() -> None:
    guard = DivergenceGuard(spikes=False)
    assert set(judge_all(guard, [1.3] * 200 + [14.6] * 200)) == {Verdict.APPLY}
    assert guard.judge(math.nan, 1.0) is Verdict.SKIP


@given(cut=st.integers(0, 300))
@settings(deadline=None)
def test_a_saved_guard_goes_on_as_it_was(cut: int) -> None:
    losses = [*noisy([1.3] * 120, 0.1), math.nan, math.nan, *[6.0] * 60, *noisy([2.0] * 120, 0.1)]
    whole, first, second = DivergenceGuard(), DivergenceGuard(), DivergenceGuard()
    expected = judge_all(whole, losses)
    begun = judge_all(first, losses[:cut])
    second.restore(json.loads(json.dumps(first.state())))
    assert begun + judge_all(second, losses[cut:]) == expected
    assert second.state() == whole.state()
