from hypothesis import given
from hypothesis import strategies as st

from tui.view.smoothing import (
    MIN_SMOOTHING,
    SMOOTHING,
    TREND_SMOOTHING,
    running_mean,
    smoothed_weight,
    trend_weight,
)


@st.composite
def steps(draw: st.DrawFn) -> tuple[int, int]:
    seen = draw(st.integers(1, 10**7))
    return seen, draw(st.integers(1, seen))


@given(steps())
def test_weights_are_fractions(counts: tuple[int, int]) -> None:
    assert 0 <= smoothed_weight(*counts) <= SMOOTHING
    assert 0 <= trend_weight(*counts) <= TREND_SMOOTHING


def test_the_first_loss_has_no_past() -> None:
    assert smoothed_weight(1, 1) == 0
    assert trend_weight(1, 1) == 0
    assert running_mean(None, 2.0, 0.5) == 2.0


def test_a_long_training_forgets_at_a_steady_rate() -> None:
    assert smoothed_weight(10_000, 1) == SMOOTHING
    assert smoothed_weight(10_000, 2) == SMOOTHING**2
    assert smoothed_weight(10_000, 200) == MIN_SMOOTHING
    assert trend_weight(10_000, 2) == TREND_SMOOTHING**2


def test_the_slow_mean_starts_as_the_mean_of_all_steps() -> None:
    mean = None
    for seen, loss in enumerate((4.0, 2.0, 3.0), start=1):
        mean = running_mean(mean, loss, trend_weight(seen, 1))
    assert mean == 3.0


def test_a_value_that_is_missing_changes_nothing() -> None:
    assert running_mean(2.0, None, 0.5) == 2.0
