"""A teacher and its student: when one follows the other, what it learns from, what is kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from model_fixtures import TEXT, TINY_MODEL, TINY_TRAINING, make_request, of_kind
from network_fixtures import MACHINE, TEXT_IDS, make_trainer, weights_of
from watched_training import run_folder, warnings_of, watch

from model.config import ScoringMode
from model.evaluation.soft_targets import soft_targets
from model.events import (
    CheckpointSaved,
    Finished,
    Planned,
    Preparing,
    StepFinished,
    TrainingStateChanged,
    Validated,
    WarningRaised,
)
from model.events.recorded import STUDENT_BEGINS
from model.network.make import make_network
from model.network.published import PublishedWeights
from model.training.best import Best
from model.training.controls import TrainingControls
from model.training.trainer import Trainer
from model.training.training_run import TrainingRun

TAUGHT = dataclasses.replace(TINY_TRAINING, epochs=4, teacher_share=0.5)
LAST_OF_TEACHER = 30
"""Steps of half of four epochs."""
WINDOWS: dict[str, Any] = {
    "scoring": "last",
    "window_stride": 7,
    "optimiser": "rmsprop",
    "weight_decay": 0.0,
}


def with_student(scoring: ScoringMode = "every") -> tuple[Trainer, dict[str, Any]]:
    """Returns a trainer whose student has begun, and the teacher's weights."""
    settings = WINDOWS if scoring == "last" else {}
    trainer = make_trainer(dataclasses.replace(TAUGHT, weight_dropout=0.2, **settings))
    for _ in range(20):
        trainer.step(0.0)
    teacher = {name: value.copy() for name, value in weights_of(trainer.best_network).items()}
    assert trainer.teach()
    trainer.begin_student(0.0)
    return trainer, teacher


def test_the_student_is_another_untrained_network() -> None:
    trainer, teacher = with_student()
    student = weights_of(trainer.network)
    untrained = weights_of(make_trainer(TAUGHT).network)
    for name in ("embedding.weight", "lstm.weight_hh_l0", "head.weight"):
        assert not np.array_equal(student[name], teacher[name])
        assert not np.array_equal(student[name], untrained[name])
        assert student[name].std() == pytest.approx(untrained[name].std(), rel=0.3)
    assert all(
        np.array_equal(weights_of(trainer.networks[1])[name], student[name]) for name in student
    )
    assert not any(name.startswith("optimiser") for name in trainer.tensors())
    assert trainer.step_count == 20


@pytest.mark.parametrize("scoring", ["every", "last"])
def test_it_learns_from_the_text_and_what_the_teacher_predicts_there(scoring: ScoringMode) -> None:
    trainer, teacher = with_student(scoring)
    network = make_network(TINY_MODEL, trainer.network.vocabulary_size)
    network.load_arrays(teacher)
    table = soft_targets(network, TEXT_IDS, trainer._training, MACHINE)
    assert table is not None
    batch = trainer._batches.next()
    streams = slice(1, batch.streams)
    _, found = trainer._reader.read(batch, streams)
    assert found.dtype == torch.float32
    for stream, start in enumerate(batch.starts[streams]):
        whole = table[start : start + batch.sequence]
        own = found[stream] if scoring == "last" else found[:, stream]
        assert torch.equal(own, (whole[-1] if scoring == "last" else whole).float())


def test_soft_targets_that_are_the_text_itself_change_no_gradient() -> None:
    plain, taught = make_trainer(TAUGHT), make_trainer(TAUGHT)
    symbols = taught.network.vocabulary_size
    following = torch.from_numpy(TEXT_IDS[1:].astype(np.int64))
    taught._reader.soft_targets = torch.nn.functional.one_hot(following, symbols).half()
    assert taught.step(0.0).loss == pytest.approx(plain.step(0.0).loss, rel=1e-5)
    for one, other in zip(plain.network.parameters(), taught.network.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad, atol=1e-6)


def test_its_learning_rate_and_average_begin_again() -> None:
    trainer, _ = with_student()
    before = make_trainer(TAUGHT)
    first = trainer.schedule.learning_rate(20, 0.0)
    assert first == pytest.approx(before.schedule.learning_rate(0, 0.0))
    assert trainer.schedule.learning_rate(23, 0.0) > 3 * first
    trainer.step(0.0)
    average, latest = (weights_of(network) for network in reversed(trainer.networks))
    # After the first step the average has almost nothing of the weights before it.
    away = np.abs(average["head.weight"] - latest["head.weight"]).max()
    assert away < 0.3 * first


def test_a_run_validates_and_saves_the_teacher_and_goes_on_with_its_student(tmp_path: Path) -> None:
    events = watch(make_request(tmp_path, epochs=4, teacher_share=0.5))
    assert warnings_of(events) == [STUDENT_BEGINS]
    plans = [(plan.role, plan.first_step, plan.network_since) for plan in of_kind(events, Planned)]
    assert plans == [("teacher", 0, 0), ("student", LAST_OF_TEACHER, LAST_OF_TEACHER)]
    begins = next(n for n, event in enumerate(events) if isinstance(event, WarningRaised))
    steps = [event.step for event in of_kind(events[:begins], StepFinished)]
    assert steps == list(range(1, LAST_OF_TEACHER + 1))
    assert of_kind(events[:begins], Validated)[-1].step == LAST_OF_TEACHER
    assert of_kind(events[:begins], CheckpointSaved)[-1].step == LAST_OF_TEACHER
    steps = [event.step for event in of_kind(events[begins:], StepFinished)]
    assert steps == list(range(LAST_OF_TEACHER + 1, 61))
    rates = [event.learning_rate for event in of_kind(events, StepFinished)]
    assert rates[:LAST_OF_TEACHER] == pytest.approx(rates[LAST_OF_TEACHER:])


def test_the_teacher_writes_until_its_student_is_better(tmp_path: Path) -> None:
    published: list[PublishedWeights] = []
    request = make_request(tmp_path, epochs=10, teacher_share=0.1)
    clock = iter(range(10**9)).__next__  # a snapshot after each step
    run = TrainingRun(request, TrainingControls(), publish=published.append, clock=clock)
    losses: dict[int, float] = {}
    steps = []
    for event in run.events():
        if isinstance(event, Validated):
            losses[event.step] = event.nats_per_character
        if isinstance(event, WarningRaised) and event.text == STUDENT_BEGINS:
            steps.append(len(published))
    (begins,) = steps
    teacher = published[begins - 1].snapshot.step
    best = min(nats for step, nats in losses.items() if step <= teacher)
    better = [step for step, nats in losses.items() if step > teacher and nats < best]
    later = [weights.snapshot.step for weights in published[begins:] if weights.kept_as is None]
    assert better, "or this test would look at nothing"
    assert later[0] >= better[0]


def test_a_resumed_student_knows_that_it_is_better_than_its_teacher(tmp_path: Path) -> None:
    losses = [
        (event.step, event.nats_per_character)
        for event in watch(make_request(tmp_path, epochs=10, teacher_share=0.1))
        if isinstance(event, Validated)
    ]
    store = run_folder(tmp_path).checkpoints
    saved = store.load_latest(pytest.fail).metadata
    since = saved.progress["student_since"][0]
    assert min(losses, key=lambda pair: pair[1])[0] > since, "or this test would look at nothing"
    # A checkpoint between two validations has no loss; a later validation can be a worse one.
    for nats in (None, saved.nats_per_character, 9.0):
        best = Best()
        metadata = dataclasses.replace(saved, nats_per_character=nats)
        best.restore(metadata, store, student_since=since)
        assert not best.teacher_leads
        best.restore(metadata, store, student_since=10**9)
        assert best.teacher_leads == (nats is None or nats > (best.nats or 0))


@pytest.mark.parametrize("split", [LAST_OF_TEACHER, LAST_OF_TEACHER + 1, 47])
def test_an_interrupted_student_ends_bit_for_bit_as_without_the_interruption(
    split: int, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"epochs": 4, "teacher_share": 0.5, "reset_probability": 0.3}
    model = dataclasses.replace(TINY_MODEL, dropout=0.3)

    def stop(event: object, controls: TrainingControls) -> None:
        if isinstance(event, StepFinished) and event.step == split:
            controls.stop(hurry=True)

    watch(make_request(tmp_path / "one", model=model, **settings))
    watch(make_request(tmp_path / "two", model=model, **settings), stop)
    watch(make_request(tmp_path / "two", resume=True))
    one, two = (run_folder(tmp_path / name).checkpoints.load_latest(pytest.fail)
                for name in ("one", "two"))  # fmt: skip
    assert one.metadata.step == two.metadata.step == 60
    assert one.metadata.progress["student_since"][0] == LAST_OF_TEACHER
    assert any(name.startswith("teacher.") for name in one.tensors)
    differing = [n for n in one.tensors if one.tensors[n].tobytes() != two.tensors[n].tobytes()]
    assert (set(one.tensors), differing) == (set(two.tensors), [])


def test_a_stop_breaks_the_teacher_off_that_reads_and_leaves_the_student_for_later(
    tmp_path: Path,
) -> None:
    def stop(event: object, controls: TrainingControls) -> None:
        if isinstance(event, Preparing) and event.stage.startswith("the teacher reads"):
            controls.stop()

    events = watch(make_request(tmp_path, epochs=4, teacher_share=0.5), stop)
    assert of_kind(events, StepFinished)[-1].step == LAST_OF_TEACHER
    assert STUDENT_BEGINS not in warnings_of(events)
    assert [plan.role for plan in of_kind(events, Planned)] == ["teacher"]
    assert run_folder(tmp_path).checkpoints.load_latest(pytest.fail).metadata.nats_per_character
    events = watch(make_request(tmp_path, resume=True))
    assert STUDENT_BEGINS in warnings_of(events)
    steps = [event.step for event in of_kind(events, StepFinished)]
    assert steps == list(range(LAST_OF_TEACHER + 1, 61))


def test_reading_is_no_training_time(tmp_path: Path) -> None:
    clock = iter(range(10**9)).__next__  # each look at it takes a second
    run = TrainingRun(
        make_request(tmp_path, epochs=4, teacher_share=0.5), TrainingControls(), clock=clock
    )
    before, reads = 0.0, False
    for event in run.events():
        if isinstance(event, Preparing) and event.stage.startswith("the teacher reads"):
            reads = True
            before = run._watch.seconds
            for _ in range(1000):
                clock()
        elif reads and isinstance(event, StepFinished):
            assert before <= event.time < before + 100
            return
    pytest.fail("no teacher read")


def test_a_reading_that_another_process_breaks_off_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer = make_trainer(TAUGHT)
    with monkeypatch.context() as patched:
        patched.setattr(trainer._ranks, "all_reduce", lambda counts: counts.add_(1))
        assert not trainer.teach()
    assert not trainer.teach(lambda: True)
    assert trainer._reader.soft_targets is None
    assert trainer.teach()
    assert trainer._reader.soft_targets is not None


def test_a_longer_plan_is_kept_where_it_is_stopped_before_its_first_step(tmp_path: Path) -> None:
    watch(make_request(tmp_path, epochs=4, teacher_share=0.5))

    def stop(event: object, controls: TrainingControls) -> None:
        if isinstance(event, Preparing) and "teacher" in event.stage:
            controls.stop(hurry=True)

    watch(make_request(tmp_path, resume=True, overrides={"epochs": 6}), stop)
    saved = run_folder(tmp_path).checkpoints.load_latest(pytest.fail)
    assert (saved.metadata.step, saved.metadata.training.epochs) == (60, 6)
    assert any(name.startswith("teacher.") for name in saved.tensors)
    events = watch(make_request(tmp_path, resume=True))
    assert of_kind(events, Finished)[-1].step == 90


@pytest.mark.parametrize("weights_only", [True, False])
def test_weights_alone_or_another_text_replace_no_checkpoint_before_their_first_step(
    tmp_path: Path, weights_only: bool
) -> None:
    request = make_request(tmp_path, epochs=2)
    watch(request)
    if not weights_only:
        Path(request.corpus or "").write_text(TEXT[::-1], encoding="utf-8")

    def stop(event: object, controls: TrainingControls) -> None:
        if isinstance(event, TrainingStateChanged) and event.state == "training":
            controls.stop(hurry=True)

    again = make_request(
        tmp_path,
        resume=True,
        weights_only=weights_only,
        overrides={"epochs": 6, "learning_rate": 0.5},
    )
    watch(again, stop)
    saved = run_folder(tmp_path).checkpoints.load_latest(pytest.fail)
    assert (saved.metadata.step, saved.metadata.training.epochs) == (30, 2)
    assert any(name.startswith("optimiser.") for name in saved.tensors)


def test_a_student_without_a_step_never_replaces_its_teachers_checkpoint(tmp_path: Path) -> None:
    def save_and_stop(event: object, controls: TrainingControls) -> None:
        if isinstance(event, Planned) and event.role == "student":
            controls.save()
            controls.stop()

    events = watch(make_request(tmp_path, epochs=4, teacher_share=0.5), save_and_stop)
    assert STUDENT_BEGINS in warnings_of(events)
    saved = run_folder(tmp_path).checkpoints.load_latest(pytest.fail)
    assert saved.metadata.step == LAST_OF_TEACHER
    assert saved.metadata.progress["student_since"] is None


def test_a_save_of_a_student_without_a_step_is_answered(tmp_path: Path) -> None:
    def save_and_go_on(event: object, controls: TrainingControls) -> None:
        if isinstance(event, Planned) and event.role == "student":
            controls.pause()
            controls.save()
        if isinstance(event, WarningRaised) and "no step" in event.text:
            controls.go_on()

    events = watch(make_request(tmp_path, epochs=4, teacher_share=0.5), save_and_go_on)
    assert warnings_of(events)[1:] == ["the student has made no step; its teacher is saved"]
    assert of_kind(events, Finished)[-1].reason == "completed"


def test_a_plan_that_was_longer_goes_on_with_the_student(tmp_path: Path) -> None:
    watch(make_request(tmp_path, epochs=2, teacher_share=0.5))
    events = watch(make_request(tmp_path, resume=True, overrides={"epochs": 4}))
    assert STUDENT_BEGINS not in warnings_of(events)
    (plan,) = of_kind(events, Planned)
    assert (plan.role, plan.first_step, plan.network_since) == ("student", 30, 15)
    assert [event.step for event in of_kind(events, StepFinished)] == list(range(31, 61))


def test_the_weights_of_a_student_alone_are_trained_on_as_one_network(tmp_path: Path) -> None:
    """They were thrown away once: the run took them for a teacher that had had its time."""
    watch(make_request(tmp_path, epochs=4, teacher_share=0.5))
    best = run_folder(tmp_path).checkpoints.load_best(pytest.fail).metadata.nats_per_character
    again = make_request(tmp_path, resume=True, weights_only=True, overrides={"epochs": 5})
    events = watch(again)
    assert STUDENT_BEGINS not in warnings_of(events)
    (plan,) = of_kind(events, Planned)
    assert (plan.role, plan.network_since) == ("only", 0)
    steps = of_kind(events, StepFinished)
    assert [(event.step, event.epoch) for event in steps] == [(n, 5) for n in range(61, 76)]
    assert best is not None
    assert of_kind(events, Validated)[-1].nats_per_character < best + 0.1
    saved = run_folder(tmp_path).checkpoints.load_latest(pytest.fail)
    assert saved.metadata.training.teacher_share == 0
    assert not any(name.startswith("teacher.") for name in saved.tensors)


def test_a_student_is_not_judged_by_its_teachers_losses() -> None:
    best, trainer = (
        Best(),
        SimpleNamespace(step_count=1, snapshot=Mock(), save_rollback_point=Mock(), schedule=Mock()),
    )
    trainer.schedule.progress = lambda _, seconds: seconds / 100

    def validated(nats: float, seconds: float) -> bool:
        return best.record(cast("Trainer", trainer), nats, seconds)

    def leads() -> bool:
        return best.teacher_leads

    validated(1.5, 30)
    assert not leads()
    best.begin_student()
    assert leads()
    for seconds, nats in ((40, 2.0), (60, 1.8), (80, 1.6)):
        assert not validated(nats, seconds)
        assert not best.has_stopped_falling()
        assert leads()
    assert validated(1.4, 85)
    validated(1.45, 90)
    assert not leads()
    assert not best.has_stopped_falling()
    validated(1.45, 111)
    assert best.has_stopped_falling()
