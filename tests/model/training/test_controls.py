"""Wishes to a running training."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from patience import wait_until

from model.training.controls import TrainingControls


def is_paused(controls: TrainingControls) -> bool:
    return controls.paused


def test_a_pause_ends_by_going_on_or_by_stopping() -> None:
    controls = TrainingControls()
    assert not is_paused(controls)
    controls.pause()
    assert is_paused(controls)
    controls.go_on()
    assert not is_paused(controls)
    controls.pause()
    controls.stop()
    assert not is_paused(controls)
    assert controls.stopping


@pytest.mark.parametrize(
    ("wish", "hurried", "abandoned"),
    [
        (lambda c: c.stop(), False, False),
        (lambda c: c.stop(hurry=True), True, False),
        (lambda c: (c.stop(hurry=True), c.stop()), True, False),
        (lambda c: c.abandon(), True, True),
        (lambda c: (c.abandon(), c.stop()), True, True),
    ],
)
def test_a_stop_never_becomes_less_urgent(
    wish: Callable[[TrainingControls], object], hurried: bool, abandoned: bool
) -> None:
    controls = TrainingControls()
    wish(controls)
    assert (controls.stopping, controls.hurried, controls.abandoned) == (True, hurried, abandoned)


def test_a_wish_to_save_is_taken_once() -> None:
    controls = TrainingControls()
    assert not controls.take_save()
    controls.save()
    controls.save()
    assert [controls.take_save(), controls.take_save()] == [True, False]


@pytest.mark.parametrize(
    "wish",
    [
        TrainingControls.go_on,
        TrainingControls.stop,
        TrainingControls.abandon,
        TrainingControls.save,
    ],
)
def test_each_wish_wakes_a_paused_training(wish: Callable[[TrainingControls], None]) -> None:
    controls = TrainingControls()
    controls.pause()
    waiting = threading.Thread(target=controls.wait_while_paused, daemon=True)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive(), "it waits while nothing is wished"
    wish(controls)
    wait_until(lambda: not waiting.is_alive())
