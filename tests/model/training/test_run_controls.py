"""A training that is stopped, paused or saved on request."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from model_fixtures import TickingClock, make_request, make_text, of_kind
from watched_training import STEPS_PER_EPOCH, at_step, run_folder, saved_steps, watch

from model.events import (
    CheckpointSaved,
    Event,
    Finished,
    Planned,
    RecordedEvent,
    SampleRecorded,
    StepFinished,
    TrainingStateChanged,
    Validated,
)
from model.runs.folder import RunFolder
from model.training.controls import TrainingControls
from model.training.trainer import Trainer
from model.training.update import StepResult


def test_a_stop_validates_saves_and_finishes(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path), at_step(5, lambda controls: controls.stop()))
    (finished,) = of_kind(events, Finished)
    assert (finished.reason, finished.step) == ("stopped", 5)
    assert [event.step for event in of_kind(events, Validated)] == [5]
    assert saved_steps(tmp_path) == [5]
    assert events[-1] == TrainingStateChanged(state="finished")


def test_a_hurried_stop_saves_without_validating(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path), at_step(5, lambda controls: controls.stop(hurry=True)))
    assert of_kind(events, Finished)[0].reason == "stopped"
    assert of_kind(events, Validated) == []
    assert saved_steps(tmp_path) == [5]


def test_a_hurried_stop_ends_a_validation_too(tmp_path: Path) -> None:
    def react(event: Event, controls: TrainingControls) -> None:
        if event == TrainingStateChanged(state="validating"):
            controls.stop(hurry=True)

    events = watch(make_request(tmp_path), react)
    assert of_kind(events, Validated) == []
    assert of_kind(events, SampleRecorded) == []
    assert saved_steps(tmp_path) == [STEPS_PER_EPOCH]


@pytest.mark.parametrize("trigger", [StepFinished, Validated, SampleRecorded])
def test_an_abandoned_run_saves_nothing(trigger: type[Event], tmp_path: Path) -> None:
    def react(event: Event, controls: TrainingControls) -> None:
        if isinstance(event, trigger):
            controls.save()
            controls.abandon()

    events = watch(make_request(tmp_path, checkpoint_every=1e-6), react)
    assert len(of_kind(events, trigger)) == 1
    after = events[events.index(of_kind(events, trigger)[0]) :]
    assert of_kind(after, CheckpointSaved) == []
    assert of_kind(after, Finished) == []
    second = RunFolder(run_folder(tmp_path).path)
    assert not second.is_being_written(), "the folder is unlocked"


def test_a_pause_does_not_count_as_training_time(tmp_path: Path) -> None:
    clock = TickingClock(0.001)

    def react(event: Event, controls: TrainingControls) -> None:
        at_step(3, lambda controls: controls.pause())(event, controls)
        if event == TrainingStateChanged(state="paused"):
            clock.now += 1000
            controls.go_on()

    events = watch(make_request(tmp_path), react, clock=clock)
    assert TrainingStateChanged(state="paused") in events
    assert of_kind(events, Finished)[0].seconds < 10
    assert all(event.time < 10 for event in of_kind(events, RecordedEvent))
    assert clock.now > 1000


def test_a_paused_run_can_be_saved_and_stopped(tmp_path: Path) -> None:
    def react(event: Event, controls: TrainingControls) -> None:
        at_step(3, lambda controls: controls.pause())(event, controls)
        if event == TrainingStateChanged(state="paused"):
            controls.save()
        if isinstance(event, CheckpointSaved):
            controls.stop(hurry=True)

    events = watch(make_request(tmp_path), react)
    assert [event.step for event in of_kind(events, CheckpointSaved)] == [3]
    assert of_kind(events, Finished)[0].step == 3


def test_a_checkpoint_is_saved_on_request(tmp_path: Path) -> None:
    events = watch(
        make_request(tmp_path, validation_fraction=0.0),
        at_step(4, lambda controls: controls.save()),
    )
    last = of_kind(events, Finished)[0].step
    assert [event.step for event in of_kind(events, CheckpointSaved)] == [4, last]


def test_a_checkpoint_is_saved_by_time(tmp_path: Path) -> None:
    events = watch(
        make_request(tmp_path, checkpoint_every=2.0, validation_fraction=0.0, epochs=3),
        clock=TickingClock(0.05),
    )
    times = [event.time for event in of_kind(events, CheckpointSaved)][:-1]
    assert len(times) >= 3
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(2.0 <= gap < 3.0 for gap in gaps)
    assert 2.0 <= times[0] < 3.0


def test_a_time_budget_ends_the_training(tmp_path: Path) -> None:
    request = make_request(tmp_path, epochs=None, minutes=0.1)
    events = watch(request, clock=TickingClock(0.02))
    (finished,) = of_kind(events, Finished)
    assert finished.reason == "completed"
    assert 6 <= finished.seconds < 7
    rates = [event.learning_rate for event in of_kind(events, StepFinished)]
    assert rates[-1] < 0.05 * max(rates)
    assert of_kind(events, Planned)[0].planned_seconds == pytest.approx(6)


def test_a_slow_first_step_does_not_delay_the_first_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a long text, where it is not the end of an epoch that brings it."""
    step, clock = Trainer.step, TickingClock()

    def slow_at_first(trainer: Trainer, seconds: float) -> StepResult:
        clock.now += 5.0 if trainer.step_count == 0 else 0.002
        return step(trainer, seconds)

    monkeypatch.setattr(Trainer, "step", slow_at_first)
    request = make_request(tmp_path, text=make_text(60_000), epochs=1, validation_fraction=0.01)
    events = watch(request, clock=clock)
    first = of_kind(events, Validated)[0]
    assert first.step < max(event.step for event in of_kind(events, StepFinished))
    assert first.time < 5.0 + 4.0
