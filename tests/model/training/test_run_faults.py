"""A training on a full disk, with bad losses, or with a text that is too short."""

from __future__ import annotations

import errno
import itertools
import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from model_fixtures import TEXT, TickingClock, make_request, of_kind
from watched_training import at_step, run_folder, saved_steps, warnings_of, watch

from corpus import CorpusError
from model.errors import RunFolderError, TrainingDiverged
from model.events import (
    CheckpointSaved,
    Event,
    Finished,
    Preparing,
    RunStarted,
    SaveFailed,
    StepFinished,
    Validated,
    WarningRaised,
)
from model.runs.checkpoint_store import CheckpointStore
from model.runs.folder import RunFolder
from model.runs.metrics_log import RunRecord
from model.training.controls import TrainingControls
from model.training.trainer import Trainer
from model.training.training_run import TrainingRun
from model.training.validation import Validation


def no_space(*args: Any, **kwargs: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_at_first(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lets the first save fail; returns a list that gets the step of each one."""
    save, attempts = CheckpointStore.save, []

    def saved(store: CheckpointStore, checkpoint: Any) -> Path:
        attempts.append(checkpoint.metadata.step)
        return no_space() if len(attempts) < 2 else save(store, checkpoint)

    monkeypatch.setattr(CheckpointStore, "save", saved)
    return attempts


def test_a_stream_that_stays_lost_causes_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Validation(nats=2.0, streams=16, lost=1, worst=12.9)
    monkeypatch.setattr("model.training.training_run.validate", lambda *_: lost)
    events = watch(make_request(tmp_path, epochs=3))
    assert len(of_kind(events, Validated)) >= 3
    (warning,) = [e for e in of_kind(events, WarningRaised) if "lost" in e.text]
    assert warning.text == lost.lost_sentence
    assert warning.time > of_kind(events, Validated)[0].time


def test_a_stream_that_is_lost_once_causes_no_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = itertools.cycle(
        (Validation(nats=2.0, streams=16, lost=1), Validation(nats=1.9, streams=16))
    )
    monkeypatch.setattr("model.training.training_run.validate", lambda *_: next(found))
    events = watch(make_request(tmp_path, epochs=3))
    assert len(of_kind(events, Validated)) >= 3
    assert not [text for text in warnings_of(events) if "lost" in text]


def test_a_full_disk_causes_a_warning_and_training_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CheckpointStore, "save", no_space)
    run = TrainingRun(make_request(tmp_path), TrainingControls())
    events = list(run.events())
    assert of_kind(events, Finished)[0].step == 30
    assert of_kind(events, CheckpointSaved) == []
    assert run.save_failure is not None
    assert {text.split(": ")[1] for text in warnings_of(events)} == {
        "checkpoint not saved (No space left on device)"
    }


def test_a_failed_save_is_repeated_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = full_at_first(monkeypatch)
    run = TrainingRun(make_request(tmp_path), TrainingControls())
    events = list(run.events())
    assert attempts == [15, 30], "the second epoch ended before the next try"
    assert run.save_failure is None
    assert saved_steps(tmp_path) == [30]
    assert of_kind(events, Finished)[0].reason == "completed"


def test_the_best_weights_are_saved_once_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = full_at_first(monkeypatch)
    losses = iter((1.5, 2.0))
    monkeypatch.setattr(
        "model.training.training_run.validate", lambda *_: Validation(nats=next(losses))
    )
    events = watch(make_request(tmp_path))
    assert attempts == [15, 15, 30], "the second epoch ended worse than the first"
    assert of_kind(events, Finished)[0].best_nats_per_character == 1.5
    store = run_folder(tmp_path).checkpoints
    assert store.load_best(pytest.fail).metadata.step == 15
    assert store.load_latest(pytest.fail).metadata.step == 30


def test_a_failed_save_is_retried_at_growing_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, clock = CheckpointStore.save, TickingClock(0.02)
    attempts: list[float] = []
    began = clock.now

    def full_for_a_minute(store: CheckpointStore, checkpoint: Any) -> Path:
        attempts.append(clock.now - began)
        return no_space() if attempts[-1] < 60 else save(store, checkpoint)

    monkeypatch.setattr(CheckpointStore, "save", full_for_a_minute)
    request = make_request(tmp_path, epochs=None, minutes=2.0, checkpoint_every=3.0)
    events = watch(request, clock=clock)
    failures = of_kind(events, SaveFailed)
    assert len(failures) == 4
    waited = [later - earlier for earlier, later in pairwise(attempts[:5])]
    assert all(4 < gap / wait < 7 for gap, wait in zip(waited, (1, 2, 4, 8), strict=True))
    assert failures[0].sentence in warnings_of(events)
    first_save = events.index(of_kind(events, CheckpointSaved)[0])
    assert all(events.index(failure) < first_save for failure in failures)
    assert len(of_kind(events, CheckpointSaved)) > 5, "it saves as often as before"


def test_a_requested_save_is_tried_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_record_that_cannot_be_written_causes_one_warning(
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


def test_a_training_that_does_not_recover_ends_as_diverged(
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


def test_a_few_bad_losses_are_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_learning_rate_far_too_large_does_not_crash(tmp_path: Path) -> None:
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
    assert "the text is short: 1 stream instead of 4" in warnings_of(events)
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
