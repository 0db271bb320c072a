"""Training time and speed, with a clock that the test holds."""

from __future__ import annotations

import pytest
from model_fixtures import TickingClock

from model.timing import Due, Stopwatch, Throughput


def test_pauses_are_left_out() -> None:
    clock = TickingClock()
    watch = Stopwatch(clock, start=5.0)
    clock.now += 2
    assert watch.seconds == 7
    watch.pause()
    clock.now += 1000
    assert watch.seconds == 7
    watch.pause()
    watch.go_on()
    clock.now += 3
    watch.go_on()
    assert watch.seconds == 10


def test_it_is_due_once_the_seconds_have_passed_since_the_last_time() -> None:
    clock = TickingClock()
    due = Due(clock)
    assert not due.after(2.0)
    clock.now += 2
    assert due.after(2.0)
    assert not due.after(2.5)
    due.restart()
    assert not due.after(2.0)


def test_speed_is_that_of_the_last_two_seconds() -> None:
    speed = Throughput(window=2.0)
    assert (speed.recent, speed.mean, speed.steps_in(5.0)) == (0, 0, 0)
    for _ in range(100):
        speed.add(1000, 0.1)
    assert speed.recent == pytest.approx(10_000)
    assert speed.steps_in(5.0) == pytest.approx(50)
    for _ in range(30):
        speed.add(100, 0.1)
    assert speed.recent == pytest.approx(1000)
    assert speed.mean == pytest.approx(103_000 / 13)


def test_a_step_longer_than_the_window_still_counts() -> None:
    speed = Throughput(window=2.0)
    speed.add(500, 10.0)
    assert speed.recent == pytest.approx(50)
    speed.add(0, 0.0)
    assert speed.mean == pytest.approx(50)
