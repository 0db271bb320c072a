"""A whole training, event by event, without a thread."""

from __future__ import annotations

import dataclasses
import errno
import gc
import itertools
import json
import math
import os
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_fixtures import TEXT, VOCABULARY, TickingClock, make_request, make_text, of_kind
from network_fixtures import sharing_products

from corpus import CorpusError
from model.compute.device import Machine
from model.compute.engine import Engine
from model.config import ModelConfig
from model.errors import CheckpointError, RunFolderError, TrainingDiverged
from model.evaluation import scoring
from model.events import (
    CheckpointSaved,
    ComputingChanged,
    Event,
    Finished,
    Planned,
    Preparing,
    RecordedEvent,
    RunStarted,
    SampleRecorded,
    SaveFailed,
    StepFinished,
    TrainingStateChanged,
    Validated,
    WarningRaised,
    of_the_last_text,
    to_json_line,
)
from model.network.published import PublishedWeights
from model.runs.checkpoint_file import read_checkpoint, read_metadata, write_checkpoint
from model.runs.checkpoint_store import CheckpointStore, best_first
from model.runs.folder import RunFolder
from model.runs.metrics_log import RunRecord
from model.runs.request import RunRequest
from model.training.controls import TrainingControls
from model.training.trainer import Trainer
from model.training.training_run import TrainingRun
from model.training.update import StepResult
from model.training.validation import MIN_VALIDATION_CHARACTERS, Validation

React = Callable[[Event, TrainingControls], None]

STEPS_PER_EPOCH = 15


def watch(
    request: RunRequest, react: React = lambda event, controls: None, **options: Any
) -> list[Event]:
    """Runs to the end; `react` sees each event and may use the controls.

    By the clock hardly any time passes: on a slow machine more would be validated than an epoch's
    end.
    """
    options.setdefault("clock", TickingClock(1e-4))
    controls = TrainingControls()
    events = []
    for event in TrainingRun(request, controls, **options).events():
        events.append(event)
        react(event, controls)
    return events


def at_step(number: int, wish: Callable[[TrainingControls], object]) -> React:
    def react(event: Event, controls: TrainingControls) -> None:
        if isinstance(event, StepFinished) and event.step == number:
            wish(controls)

    return react


def run_folder(folder: Path) -> RunFolder:
    return RunFolder(folder / "runs" / "tiny")


def saved_steps(folder: Path) -> list[int]:
    return [saved.metadata.step for saved in run_folder(folder).checkpoints.saved(pytest.fail)]


def warnings_of(events: list[Event]) -> list[str]:
    return [event.text for event in of_kind(events, WarningRaised)]


# --- the course ---------------------------------------------------------------------------------


def test_events_come_in_the_order_of_the_work(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path))
    told = [
        event.state if isinstance(event, TrainingStateChanged) else type(event).__name__
        for event in events
        if not isinstance(event, Preparing)
    ]
    epoch = [
        *["StepFinished"] * STEPS_PER_EPOCH,
        *["validating", "Validated", "training"],
        *["SampleRecorded"] * 4,
        "CheckpointSaved",
    ]
    assert told == [
        *["preparing", "RunStarted", "Planned", "training"],
        *epoch * 2,
        *["Finished", "finished"],
    ]
    assert [event.step for event in of_kind(events, StepFinished)] == list(range(1, 31))
    assert [event.epoch for event in of_kind(events, StepFinished)] == [1] * 15 + [2] * 15


def looking_again(monkeypatch: pytest.MonkeyPatch, found: Engine) -> list[Engine]:
    """Has every second look find that engine; returns what was in use at each, as they come."""
    used: list[Engine] = []

    def look(machine: Machine, *_: object) -> Machine:
        used.append(machine.engine)
        return Machine.on(machine.device, found)

    monkeypatch.setattr("model.training.training_run.retune", look)
    return used


def test_the_way_of_computing_is_looked_at_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, two = TickingClock(), Engine(precision="fp32", batch_shards=2)
    used = looking_again(monkeypatch, two)

    def react(event: Event, _: TrainingControls) -> None:
        if isinstance(event, StepFinished) and event.step in {5, 12, 20}:
            clock.now += 300

    events = watch(make_request(tmp_path, threads=1, precision="fp32"), react, clock=clock)
    assert used[1:] == [two]
    assert (used[0].precision, used[0].threads) == ("fp32", 1)
    assert [event.step for event in of_kind(events, StepFinished)] == list(range(1, 31))
    (told,) = warnings_of(events)
    assert "timed again" in told
    assert "1 to 2" in told
    assert [event.threads for event in of_kind(events, ComputingChanged)] == [2]
    saved = run_folder(tmp_path).checkpoints.saved(pytest.fail)[-1].metadata
    assert Engine.from_record(saved.progress["engine"]) == two


def test_a_resumed_run_is_not_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(make_request(tmp_path, epochs=1, threads=1, precision="fp32"))
    used, clock = (
        looking_again(monkeypatch, Engine(precision="fp32", batch_shards=2)),
        TickingClock(30),
    )
    events = watch(make_request(tmp_path, resume=True, overrides={"epochs": 2}), clock=clock)
    assert len(of_kind(events, StepFinished)) == STEPS_PER_EPOCH
    assert used == []


def test_the_run_is_described_by_its_first_events(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path, seed=3))
    (started,) = of_kind(events, RunStarted)
    assert (started.run, started.corpus, started.preset) == ("tiny", "text.txt", "quick")
    assert (started.characters, started.vocabulary) == (len(TEXT), len(set(TEXT)))
    assert (started.device, started.precision, started.threads) == ("cpu", "fp32", 1)
    assert started.seed == 3
    checkpoint = run_folder(tmp_path).checkpoints.load_latest(pytest.fail)
    assert started.parameters == sum(value.size for value in checkpoint.weights().values())
    (planned,) = of_kind(events, Planned)
    assert (planned.steps_per_epoch, planned.planned_steps) == (STEPS_PER_EPOCH, 30)
    assert (planned.planned_seconds, planned.first_step) == (None, 0)
    (finished,) = of_kind(events, Finished)
    losses = [event.nats_per_character for event in of_kind(events, Validated)]
    assert (finished.reason, finished.step) == ("completed", 30)
    assert finished.best_nats_per_character == min(losses)
    assert finished.best_bits_per_character == pytest.approx(min(losses) / math.log(2))


def test_the_loss_falls_and_the_best_is_marked(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path, epochs=8))
    validated = of_kind(events, Validated)
    assert validated[-1].nats_per_character < 0.85 * validated[0].nats_per_character
    best = math.inf
    for event in validated:
        assert event.best == (event.nats_per_character < best)
        best = min(best, event.nats_per_character)
        assert event.bits_per_character == pytest.approx(event.nats_per_character / math.log(2))
    for saved in of_kind(events, CheckpointSaved):
        if Path(saved.path).exists():  # else it was pruned
            assert read_metadata(Path(saved.path)).step == saved.step
        assert saved.best == any(e.best for e in validated if e.step == saved.step)


def test_samples_are_written_after_each_epoch_at_four_temperatures(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path))
    samples = of_kind(events, SampleRecorded)
    assert [(s.epoch, s.temperature) for s in samples] == [
        (epoch, temperature) for epoch in (1, 2) for temperature in (0.2, 0.5, 1.0, 1.2)
    ]
    for sample in samples:
        assert len(sample.text) == 12
        assert len(sample.prompt) == 8
        assert sample.prompt in TEXT
        assert set(sample.text) <= set(TEXT)
    assert len({sample.prompt for sample in samples}) == 1, "all epochs can be compared"
    lines = run_folder(tmp_path).record.read_lines("samples.jsonl")
    assert lines == [json.loads(to_json_line(sample)) for sample in samples]


def test_dear_validations_are_rare_and_samples_come_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.training.training_run.next_pause", lambda seconds, cost: 1e9)
    events = list(TrainingRun(make_request(tmp_path, epochs=4), TrainingControls()).events())
    # After the first epoch none has been timed yet; after the last one there is always one.
    assert [event.epoch for event in events if isinstance(event, Validated)] == [1, 4]
    assert {event.epoch for event in events if isinstance(event, SampleRecorded)} == {1, 2, 3, 4}


def test_the_notebook_draws_another_prompt_after_each_epoch(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path, epochs=3, fresh_sample_prompts=True))
    prompts = [sample.prompt for sample in of_kind(events, SampleRecorded)]
    assert len(set(prompts)) == 3


def test_the_file_holds_the_recorded_events_and_ten_steps_a_second(tmp_path: Path) -> None:
    recorded: list[RecordedEvent] = []
    events = watch(
        make_request(tmp_path, epochs=4), clock=TickingClock(0.004), on_record=recorded.append
    )
    lines = run_folder(tmp_path).record.read_lines("metrics.jsonl")
    assert lines == [json.loads(to_json_line(event)) for event in recorded]
    others = [
        event for event in of_kind(events, RecordedEvent) if not isinstance(event, StepFinished)
    ]
    assert [line for line in lines if line["event"] != "step"] == [
        json.loads(to_json_line(event)) for event in others
    ]
    times = [line["time"] for line in lines if line["event"] == "step"]
    assert all(later - earlier > 0.0999 for earlier, later in pairwise(times))
    assert 5 < len(times) < len(of_kind(events, StepFinished)) / 2
    assert [line["event"] for line in lines][0 :: len(lines) - 1] == ["run_started", "finished"]


def test_weights_are_published_twice_a_second_and_the_best_at_the_end(tmp_path: Path) -> None:
    everything: list[PublishedWeights] = []
    clock = TickingClock(0.02)
    events = watch(make_request(tmp_path, epochs=4), publish=everything.append, clock=clock)
    published = [weights for weights in everything if weights.kept_as is None]
    assert published[0].snapshot.step == 0
    assert published[-1].best
    best = [event.step for event in of_kind(events, Validated) if event.best][-1]
    assert published[-1].snapshot.step == best
    assert not any(weights.best for weights in published[:-1])
    (finished,) = of_kind(events, Finished)
    assert finished.seconds / 0.5 * 0.5 <= len(published) <= finished.seconds / 0.5 + 3


def test_the_best_weights_and_those_of_each_epoch_are_handed_to_the_lanes(tmp_path: Path) -> None:
    published: list[PublishedWeights] = []
    events = watch(make_request(tmp_path, epochs=3), publish=published.append)
    validations = of_kind(events, Validated)
    losses = {event.step: event.nats_per_character for event in validations}
    best = [weights for weights in published if weights.kept_as == "best"]
    assert [(weights.snapshot.step, weights.nats_per_character) for weights in best] == [
        (event.step, event.nats_per_character) for event in validations if event.best
    ]
    epochs = [weights for weights in published if weights.kept_as == "epoch"]
    assert [(weights.epoch, weights.snapshot.step) for weights in epochs] == list(
        dict.fromkeys((event.epoch, event.step) for event in of_kind(events, SampleRecorded))
    )
    assert [weights.nats_per_character for weights in epochs] == [
        losses.get(weights.snapshot.step) for weights in epochs
    ]
    assert epochs


# --- wishes --------------------------------------------------------------------------------------


def test_a_stop_validates_saves_and_finishes(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path), at_step(5, lambda controls: controls.stop()))
    (finished,) = of_kind(events, Finished)
    assert (finished.reason, finished.step) == ("stopped", 5)
    assert [event.step for event in of_kind(events, Validated)] == [5]
    assert saved_steps(tmp_path) == [5]
    assert events[-1] == TrainingStateChanged(state="finished")


def test_a_stop_in_a_hurry_saves_without_validating(tmp_path: Path) -> None:
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
def test_what_is_abandoned_saves_nothing(trigger: type[Event], tmp_path: Path) -> None:
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


def test_what_is_paused_can_be_saved_and_stopped(tmp_path: Path) -> None:
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


def test_a_slow_first_step_does_not_put_the_first_validation_off(
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


# --- what goes wrong ------------------------------------------------------------------------------


def no_space(*args: Any, **kwargs: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_stream_that_stays_lost_is_warned_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Validation(nats=2.0, streams=16, lost=1, worst=12.9)
    monkeypatch.setattr("model.training.training_run.validate", lambda *_: lost)
    events = watch(make_request(tmp_path, epochs=3))
    assert len(of_kind(events, Validated)) >= 3
    (warning,) = [e for e in of_kind(events, WarningRaised) if "lost" in e.text]
    assert warning.text == lost.lost_sentence
    assert warning.time > of_kind(events, Validated)[0].time


def test_a_stream_that_is_lost_once_is_left_to_find_its_feet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = itertools.cycle(
        (Validation(nats=2.0, streams=16, lost=1), Validation(nats=1.9, streams=16))
    )
    monkeypatch.setattr("model.training.training_run.validate", lambda *_: next(found))
    events = watch(make_request(tmp_path, epochs=3))
    assert len(of_kind(events, Validated)) >= 3
    assert not [text for text in warnings_of(events) if "lost" in text]


def test_a_full_disk_is_warned_of_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CheckpointStore, "save", no_space)
    run = TrainingRun(make_request(tmp_path), TrainingControls())
    events = list(run.events())
    assert of_kind(events, Finished)[0].step == 30
    assert of_kind(events, CheckpointSaved) == []
    assert run.last_save_failed
    assert {text.split(": ")[1] for text in warnings_of(events)} == {
        "checkpoint not saved (No space left on device)"
    }


def test_a_save_that_failed_is_made_good_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, attempts = CheckpointStore.save, []

    def full_at_first(store: CheckpointStore, checkpoint: Any) -> Path:
        attempts.append(checkpoint.metadata.step)
        return no_space() if len(attempts) < 2 else save(store, checkpoint)

    monkeypatch.setattr(CheckpointStore, "save", full_at_first)
    run = TrainingRun(make_request(tmp_path), TrainingControls())
    events = list(run.events())
    assert attempts == [15, 30], "the second epoch ended before the next try"
    assert not run.last_save_failed
    assert saved_steps(tmp_path) == [30]
    assert of_kind(events, Finished)[0].reason == "completed"


def test_a_save_that_failed_is_tried_again_ever_more_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, clock = CheckpointStore.save, TickingClock(0.02)
    attempts: list[float] = []

    def full_for_a_minute(store: CheckpointStore, checkpoint: Any) -> Path:
        attempts.append(checkpoint.metadata.seconds)
        return no_space() if attempts[-1] < 60 else save(store, checkpoint)

    monkeypatch.setattr(CheckpointStore, "save", full_for_a_minute)
    request = make_request(tmp_path, epochs=None, minutes=2.0, checkpoint_every=3.0)
    events = watch(request, clock=clock)
    failures = of_kind(events, SaveFailed)
    assert [round(failure.retry_seconds) for failure in failures] == [5, 10, 20, 40]
    waited = [later - earlier for earlier, later in pairwise(attempts[:5])]
    assert all(4 < gap / wait < 7 for gap, wait in zip(waited, (1, 2, 4, 8), strict=True))
    assert failures[0].sentence in warnings_of(events)
    first_save = events.index(of_kind(events, CheckpointSaved)[0])
    assert all(events.index(failure) < first_save for failure in failures)
    assert len(of_kind(events, CheckpointSaved)) > 5, "it saves as often as before"


def test_a_wish_to_save_is_tried_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CheckpointStore, "save", no_space)

    def react(event: Event, controls: TrainingControls) -> None:
        if isinstance(event, StepFinished) and event.step in {4, 6, 8}:
            controls.save()

    events = watch(make_request(tmp_path, validation_fraction=0.0), react)
    assert len(of_kind(events, SaveFailed)) == 3 + 1, "and at the end"


@pytest.mark.parametrize("resume", [False, True])
def test_a_disk_without_room_is_refused_before_training(
    resume: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if resume:
        watch(make_request(tmp_path), at_step(3, lambda controls: controls.stop()))
    before = sorted((tmp_path / "runs").rglob("*"))
    monkeypatch.setattr("model.runs.checkpoint_store.require_room", no_space)
    with pytest.raises(RunFolderError, match=r"no room for a checkpoint of 0\.0 MB"):
        watch(make_request(tmp_path, resume=resume))
    after = sorted((tmp_path / "runs").rglob("*"))
    assert after == (before if resume else []), "a run that never began leaves nothing"


def test_a_record_that_cannot_be_written_is_warned_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunRecord, "append_line", no_space)
    events = watch(make_request(tmp_path))
    (warning,) = warnings_of(events)
    assert "metrics not written (No space left on device)" in warning
    assert of_kind(events, Finished)[0].step == 30


def spoil_losses(monkeypatch: pytest.MonkeyPatch, steps: range) -> None:
    gradients = Trainer._gradients

    def spoilt(trainer: Trainer, batch: Any) -> Any:
        loss = gradients(trainer, batch)
        return loss * math.nan if trainer.step_count in steps else loss

    monkeypatch.setattr(Trainer, "_gradients", spoilt)


def test_a_training_that_cannot_be_mended_ends_as_diverged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_losses(monkeypatch, range(20, 1000))
    events: list[Event] = []
    run = TrainingRun(make_request(tmp_path, epochs=9), TrainingControls())
    with pytest.raises(TrainingDiverged, match="three roll-backs"):
        for event in run.events():
            events.append(event)  # noqa: PERF402 - what came before the error counts
    (finished,) = of_kind(events, Finished)
    assert (finished.reason, finished.step) == ("diverged", 32)
    assert len([text for text in warnings_of(events) if "halved the learning rate" in text]) == 3
    assert "try a smaller --learning-rate" in warnings_of(events)[-1]
    assert run_folder(tmp_path).checkpoints.load_best(pytest.fail).metadata.step == 15
    assert not run_folder(tmp_path).is_being_written()


def test_a_short_spell_of_bad_numbers_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_losses(monkeypatch, range(5, 9))
    events = watch(make_request(tmp_path))
    assert of_kind(events, Finished)[0].reason == "completed"
    assert len(of_kind(events, StepFinished)) == 30 - 4
    assert [text.split(": ", 1)[1].split(";")[1] for text in warnings_of(events)] == [
        " the step was skipped",
        " the step was skipped",
        " went back to the last good weights and halved the learning rate",
        " the step was skipped",
    ]


@pytest.mark.filterwarnings("ignore:(invalid value|overflow):RuntimeWarning")
def test_a_learning_rate_far_too_large_is_no_crash(tmp_path: Path) -> None:
    request = make_request(
        tmp_path, learning_rate=1e9, constant_learning_rate=True, warmup_steps=0, clip=0.0, epochs=4
    )
    events: list[Event] = []
    try:
        for event in TrainingRun(request, TrainingControls()).events():
            events.append(event)  # noqa: PERF402 - what came before the error counts
    except TrainingDiverged:
        pass
    assert of_kind(events, Finished)
    for saved in run_folder(tmp_path).checkpoints.saved(pytest.fail):
        assert (
            run_folder(tmp_path).checkpoints.load_latest(pytest.fail).metadata.step
            >= saved.metadata.step
        )


def test_a_text_that_is_too_short_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    request = make_request(tmp_path, text="the cat sat on a")
    with pytest.raises(CorpusError, match=r"has 14 characters to train on, and one .* needs 17"):
        watch(request)
    assert not request.root.exists()


def test_a_text_too_short_to_validate_on_is_trained_with_a_note(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path, text="the cat sat on a "))
    assert "the text is too short to hold a part out: there is no validation" in warnings_of(events)
    assert "the text is short: 1 streams instead of 4" in warnings_of(events)
    assert of_kind(events, Validated) == []
    (finished,) = of_kind(events, Finished)
    assert (finished.reason, finished.best_nats_per_character) == ("completed", None)
    assert saved_steps(tmp_path) == [finished.step]


def test_a_run_is_locked_while_it_trains(tmp_path: Path) -> None:
    refused = []

    def react(event: Event, controls: TrainingControls) -> None:
        if isinstance(event, StepFinished) and event.step == 3:
            with pytest.raises(RunFolderError, match="in use by process"):
                RunFolder(run_folder(tmp_path).path).lock()
            refused.append(event.step)

    watch(make_request(tmp_path), react)
    assert refused == [3]
    RunFolder(run_folder(tmp_path).path).lock()


def test_a_stop_while_the_text_is_read_leaves_nothing(tmp_path: Path) -> None:
    request = make_request(tmp_path)

    def react(event: Event, controls: TrainingControls) -> None:
        if isinstance(event, Preparing):
            controls.stop()

    events = watch(request, react)
    assert of_kind(events, RunStarted) == []
    assert not request.root.exists()


def test_a_run_description_is_written_at_the_start(tmp_path: Path) -> None:
    watch(make_request(tmp_path), at_step(1, lambda controls: controls.abandon()))
    description = run_folder(tmp_path).description()
    assert description["run"] == "tiny"
    assert description["vocabulary"] == "".join(sorted(set(TEXT)))
    assert description["corpus"]["characters"] == len(TEXT)
    assert description["model"]["hidden"] == 8
    assert description["training"]["sequence"] == 16
    assert set(description["versions"]) == {"charlm-tui", "torch", "numpy", "python"}


# --- going on -------------------------------------------------------------------------------------


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    events = watch(make_request(tmp_path, resume=True))
    assert of_kind(events, StepFinished) == []
    assert of_kind(events, CheckpointSaved) == []
    assert of_kind(events, Planned)[0].first_step == 30
    assert of_kind(events, Finished)[0].reason == "completed"


def test_more_epochs_extend_a_run(tmp_path: Path) -> None:
    first = watch(make_request(tmp_path))
    events = watch(make_request(tmp_path, resume=True, overrides={"epochs": 3}))
    assert [event.step for event in of_kind(events, StepFinished)] == list(range(31, 46))
    assert of_kind(events, Finished)[0].step == 45
    assert of_kind(events, Finished)[0].seconds > of_kind(first, Finished)[0].seconds
    assert of_kind(events, RunStarted)[0].time >= of_kind(first, Finished)[0].seconds - 0.5
    names = [line["event"] for line in run_folder(tmp_path).record.read_lines("metrics.jsonl")]
    assert names.count("run_started") == names.count("finished") == 2


def test_lost_steps_are_told_once(tmp_path: Path) -> None:
    """As after kill -9: the file tells of steps that no checkpoint holds."""
    watch(make_request(tmp_path), at_step(20, lambda controls: controls.stop(hurry=True)))
    folder = run_folder(tmp_path)
    for step in (21, 22, 23):
        folder.record.append_line("metrics.jsonl", json.dumps({"event": "step", "step": step}))
    with (folder.path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"event": "step", "st')
    watch(make_request(tmp_path, resume=True), clock=TickingClock(0.05))
    lines = folder.record.read_lines("metrics.jsonl")
    steps = [line["step"] for line in lines if line["event"] == "step"]
    assert steps == sorted(set(steps))
    assert steps[-1] == 30
    assert [line["event"] for line in lines].count("run_started") == 2


def test_the_best_of_an_earlier_session_stays_the_best(tmp_path: Path) -> None:
    first = watch(make_request(tmp_path, epochs=6, averaging=0.0, guard=False))
    best = of_kind(first, Finished)[0].best_nats_per_character
    overrides = {"epochs": 7, "learning_rate": 100.0}  # makes it worse
    published: list[PublishedWeights] = []
    events = watch(
        make_request(tmp_path, resume=True, overrides=overrides), publish=published.append
    )
    assert of_kind(events, Validated)
    assert not any(event.best for event in of_kind(events, Validated))
    assert of_kind(events, Finished)[0].best_nats_per_character == best
    best_step = [event.step for event in of_kind(first, Validated) if event.best][-1]
    assert best_step in saved_steps(tmp_path)
    assert (published[-1].snapshot.step, published[-1].best) == (best_step, True)


@pytest.mark.parametrize(
    ("name", "value"), [("hidden", 9), ("layers", 2), ("embedding", 0), ("sequence", 8)]
)
def test_what_a_trained_network_cannot_change_is_refused(
    name: str, value: int, tmp_path: Path
) -> None:
    watch(make_request(tmp_path))
    with pytest.raises(
        CheckpointError, match=f"the saved run has {name} .*, but {value} was requested"
    ):
        watch(make_request(tmp_path, resume=True, overrides={name: value}))
    assert not run_folder(tmp_path).is_being_written()


def test_weight_decay_may_change_on_resume(tmp_path: Path) -> None:
    def norm_after(decay: float) -> float:
        folder = tmp_path / str(decay)
        watch(make_request(folder, epochs=1, averaging=0.0))
        watch(make_request(folder, resume=True, overrides={"epochs": 3, "weight_decay": decay}))
        newest = max(
            run_folder(folder).checkpoints.saved(pytest.fail), key=lambda s: s.metadata.step
        )
        return float(np.linalg.norm(read_checkpoint(newest.path).weights()["head.weight"]))

    assert norm_after(100.0) < 0.9 * norm_after(0.0)


def test_a_setting_given_again_as_it_was_is_no_change(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    overrides = {"hidden": 8, "sequence": 16, "seed": 5, "epochs": 2}
    events = watch(make_request(tmp_path, resume=True, overrides=overrides))
    assert of_kind(events, RunStarted)[0].seed == 0, "the seed of a begun run is spent"


def test_a_changed_text_is_noted_and_its_epoch_begins_anew(tmp_path: Path) -> None:
    watch(make_request(tmp_path), at_step(20, lambda controls: controls.stop(hurry=True)))
    (tmp_path / "text.txt").write_text(make_text(1200, seed=1), encoding="utf-8")
    events = watch(make_request(tmp_path, resume=True))
    assert (
        "the text is not the one that the run was trained on; its epoch starts again"
        in warnings_of(events)
    )
    steps = of_kind(events, StepFinished)
    assert [step.step for step in steps] == list(range(21, 31))
    assert steps[0].epoch == 2


@pytest.mark.parametrize("weights_only", [False, True])
def test_the_best_begins_anew_in_another_text(weights_only: bool, tmp_path: Path) -> None:
    """C4: a harder text never reaches the losses of the one before, and its weights count."""
    watch(make_request(tmp_path, run="tiny"))
    folder = run_folder(tmp_path)
    easy = folder.checkpoints.load_best(pytest.fail).metadata
    letters = np.random.default_rng(3).choice(list(VOCABULARY.symbols), 1200)
    (tmp_path / "text.txt").write_text("".join(letters), encoding="utf-8")
    again = make_request(tmp_path, resume=True, weights_only=weights_only, overrides={"epochs": 4})
    events = watch(again)
    assert of_kind(events, RunStarted)[0].new_text
    assert any("the best loss is reset" in text for text in warnings_of(events))
    validated = of_kind(events, Validated)
    assert validated[0].best
    assert min(event.nats_per_character for event in validated) > (easy.nats_per_character or 0.0)
    best = folder.checkpoints.load_best(pytest.fail).metadata
    assert best.source.sha256 != easy.source.sha256
    assert best.nats_per_character == of_kind(events, Finished)[0].best_nats_per_character
    assert best_first(folder.checkpoints.saved(pytest.fail))[0].metadata == best
    kept = {saved.metadata.source.sha256 for saved in folder.checkpoints.saved(pytest.fail)}
    assert kept == {easy.source.sha256, best.source.sha256}, "the best of each text stays"
    lines = of_the_last_text(folder.record.read_lines("metrics.jsonl"))
    losses = [line["nats_per_character"] for line in lines if line["event"] == "validation"]
    assert len(losses) == len(validated)


def test_the_best_goes_on_in_the_same_text(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    before = run_folder(tmp_path).checkpoints.load_best(pytest.fail).metadata
    events = watch(make_request(tmp_path, resume=True, overrides={"epochs": 3}))
    assert not of_kind(events, RunStarted)[0].new_text
    best = of_kind(events, Finished)[0].best_nats_per_character
    assert best is not None
    assert best <= (before.nats_per_character or 0.0)


def test_all_validations_of_a_run_score_as_many_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise their losses could not be compared; C25 bounds them by the planned time."""
    limits: list[int] = []

    def validate(*arguments: Any) -> Validation:
        limits.append(arguments[-1])
        return Validation(nats=1.0)

    monkeypatch.setattr("model.training.training_run.validate", validate)
    watch(make_request(tmp_path, minutes=1e-3, epochs=None))
    first = list(limits)
    assert first == [MIN_VALIDATION_CHARACTERS] * len(first)
    watch(make_request(tmp_path, resume=True, overrides={"epochs": 400}))
    assert len(limits) > len(first)
    assert set(limits) == {MIN_VALIDATION_CHARACTERS}


def test_another_held_out_part_of_the_same_text_is_another_measure(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    overrides = {"validation_fraction": 0.3, "epochs": 3}
    again = make_request(tmp_path, resume=True, weights_only=True, overrides=overrides)
    assert of_kind(watch(again), RunStarted)[0].new_text


def test_weights_alone_go_on_with_a_new_optimiser_in_an_epoch_that_begins_anew(
    tmp_path: Path,
) -> None:
    watch(make_request(tmp_path), at_step(20, lambda controls: controls.stop(hurry=True)))
    request = make_request(tmp_path, resume=True, weights_only=True, overrides={"batch": 3})
    published: list[PublishedWeights] = []
    events = watch(request, publish=published.append)
    assert any("only the weights were loaded" in text for text in warnings_of(events))
    steps = of_kind(events, StepFinished)
    assert (steps[0].step, steps[0].epoch) == (21, 2)
    assert published[0].snapshot.step == 20
    assert (
        RunFolder(run_folder(tmp_path).path).checkpoints.load_latest(print).metadata.training.batch
        == 3
    )


def test_a_checkpoint_without_a_training_is_resumed_from_its_weights_only(tmp_path: Path) -> None:
    watch(make_request(tmp_path), at_step(20, lambda controls: controls.stop(hurry=True)))
    folder = run_folder(tmp_path)
    bare = folder.checkpoints.load_latest(print)
    weights = {name: array for name, array in bare.tensors.items() if name.startswith("weights.")}
    write_checkpoint(folder.checkpoints.paths()[-1], dataclasses.replace(bare, tensors=weights))
    with pytest.raises(CheckpointError, match=r"no state of a training.*--weights-only"):
        watch(make_request(tmp_path, resume=True))
    assert not folder.is_being_written()
    events = watch(make_request(tmp_path, resume=True, weights_only=True))
    assert of_kind(events, StepFinished)[0].step == 21
    assert of_kind(events, Finished)[0].reason == "completed"


def test_weights_alone_do_not_change_their_shape(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    overrides = {"hidden": 9}
    with pytest.raises(CheckpointError, match="the saved run has hidden 8, but 9 was requested"):
        watch(make_request(tmp_path, resume=True, weights_only=True, overrides=overrides))


def test_a_changed_text_with_other_characters_is_refused(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    (tmp_path / "text.txt").write_text(TEXT + "Ω", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"vocabulary lacks: U.03A9"):
        watch(make_request(tmp_path, resume=True))


def test_a_damaged_newest_checkpoint_is_warned_of_and_the_one_before_used(tmp_path: Path) -> None:
    watch(make_request(tmp_path))
    newest = run_folder(tmp_path).checkpoints.paths()[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    events = watch(make_request(tmp_path, resume=True))
    assert of_kind(events, Planned)[0].first_step == 15
    assert any(str(newest) in text for text in warnings_of(events))
    assert of_kind(events, Finished)[0].step == 30


def test_two_layers_and_one_hot_train_too(tmp_path: Path) -> None:
    model = ModelConfig(hidden=8, layers=2, embedding=0, dropout=0.2)
    events = watch(make_request(tmp_path, model=model, epochs=1))
    assert of_kind(events, Finished)[0].reason == "completed"


def test_threads_share_the_streams_of_validations_and_nothing_between_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that share a sum stay awake for a while, on the cores that the next step needs."""
    stepping: set[int] = set()
    validating: set[tuple[int, int]] = set()
    step, streams_of = Trainer.step, scoring.streams_of  # type: ignore[attr-defined]

    def noted_step(*arguments: Any) -> Any:
        stepping.add(torch.get_num_threads())
        return step(*arguments)

    def noted_streams(*arguments: Any) -> Any:
        validating.add((threading.get_ident(), torch.get_num_threads()))
        return streams_of(*arguments)

    monkeypatch.setattr(Trainer, "step", noted_step)
    monkeypatch.setattr(scoring, "streams_of", noted_streams)
    with sharing_products(torch.get_num_threads()):  # leaves this test's thread as it was
        watch(
            make_request(
                tmp_path, text=make_text(9000), validation_fraction=0.5, threads=2, epochs=1
            )
        )
    assert stepping == {1}
    assert len(validating) == 2
    assert threading.get_ident() in {ident for ident, _ in validating}, "it works, too"
    assert {threads for _, threads in validating} == {1}


def test_what_stands_at_the_start_is_left_alone_by_the_collector_until_the_end(
    tmp_path: Path,
) -> None:
    before = gc.get_freeze_count()
    controls, within = TrainingControls(), 0
    for event in TrainingRun(make_request(tmp_path), controls).events():
        if isinstance(event, StepFinished):
            within = gc.get_freeze_count()
            controls.stop()
    assert within > 10_000 + before
    assert gc.get_freeze_count() == 0
