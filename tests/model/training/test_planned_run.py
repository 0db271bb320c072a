"""A run without a preset: the machine is measured once, and the plan holds and is shown."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from model_fixtures import TickingClock, make_request, of_kind

from corpus import Vocabulary
from model.config import ModelConfig, SamplingConfig, TrainingConfig
from model.events import Event, Finished, RunStarted, StepFinished, Validated, WarningRaised
from model.plan.ladder import LADDER
from model.plan.machine_speed import MachineSpeed
from model.runs.folder import RunFolder
from model.runs.request import RunRequest
from model.session import live as live_session
from model.training import autotune, training_run
from model.training.best import ENOUGH_PROGRESS, ENOUGH_SECONDS, Best
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun
from model.training.validation import Validation

SLOW = MachineSpeed({128: 10.0})
"""So slow that the smallest network is planned."""


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replaces the measuring; holds the vocabulary sizes of its calls. The cache is empty."""
    calls: list[int] = []

    def measure(training: TrainingConfig, vocabulary: Vocabulary, **_: Any) -> MachineSpeed:
        calls.append(len(vocabulary))
        return SLOW

    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(training_run, "measure_speed", measure)
    monkeypatch.setattr(autotune, "measure_speed", measure)
    return calls


def planned_request(folder: Path, **settings: Any) -> RunRequest:
    request = make_request(folder, epochs=None, minutes=0.01, **settings)
    return dataclasses.replace(request, preset="auto", model=ModelConfig())


def run(request: RunRequest, **options: Any) -> list[Event]:
    options.setdefault("clock", TickingClock(1e-2))
    return list(TrainingRun(request, TrainingControls(), **options).events())


def test_the_machine_is_measured_once_and_the_plan_is_shown(
    tmp_path: Path, measured: list[int]
) -> None:
    first = run(planned_request(tmp_path / "a"))
    (started,) = of_kind(first, RunStarted)
    assert started.plan.startswith("LSTM(128), 0.01 min, about ")
    (described,) = (tmp_path / "a" / "runs").glob("*/run.json")
    record = json.loads(described.read_text())
    assert record["preset"] == "auto"
    assert record["plan"]["sentence"] == started.plan
    assert record["model"]["hidden"] == LADDER[0].hidden
    assert record["training"]["learning_rate"] == LADDER[0].learning_rate
    assert len(measured) == 1


def test_a_speed_that_was_right_is_remembered_and_a_wrong_one_is_not(
    tmp_path: Path, measured: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(planned_request(tmp_path / "a"))
    run(planned_request(tmp_path / "b"))
    assert len(measured) == 2, "the training was much faster than ten characters a second"
    monkeypatch.setattr("model.plan.machine_speed.MAX_ERROR", 1e12)
    run(planned_request(tmp_path / "c"))
    run(planned_request(tmp_path / "d"))
    assert len(measured) == 3


def test_a_resumed_run_keeps_its_plan(tmp_path: Path, measured: list[int]) -> None:
    run(planned_request(tmp_path))
    before = RunFolder(tmp_path / "runs" / "tiny").checkpoints.load_latest(pytest.fail).metadata
    request = dataclasses.replace(
        planned_request(tmp_path), corpus=None, resume=True, overrides={"minutes": 0.02}
    )
    events = run(request)
    assert of_kind(events, StepFinished)
    assert of_kind(events, RunStarted)[0].plan == "LSTM(128), 0.02 min"
    after = RunFolder(tmp_path / "runs" / "tiny").checkpoints.load_latest(pytest.fail).metadata
    assert (after.preset, after.model) == ("auto", before.model)
    assert after.training == dataclasses.replace(before.training, minutes=0.02)
    assert len(measured) == 1


def test_a_size_of_the_users_is_not_measured(tmp_path: Path, measured: list[int]) -> None:
    request = planned_request(tmp_path)
    model = ModelConfig(hidden=12)
    events = run(dataclasses.replace(request, model=model, overrides={"hidden": 12}))
    (started,) = of_kind(events, RunStarted)
    assert started.plan == "LSTM(12), 0.01 min"
    assert measured == []


def test_text_is_written_while_the_machine_is_measured(
    tmp_path: Path, measured: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[int] = []
    session = live_session.LiveSession(
        planned_request(tmp_path), sampling=SamplingConfig(), rate=10.0
    )
    monkeypatch.setattr(
        session._sampler, "publish", lambda weights: published.append(weights.snapshot.hidden)
    )
    session._run_trainer()
    assert published[0] == ModelConfig().hidden, "before the plan is known"
    assert published[1] == LADDER[0].hidden
    assert len(measured) == 1


# --- enough -----------------------------------------------------------------------------------


def rising(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets each validation be worse than the one before."""
    losses = iter(range(1, 10_000))

    def validate(*_: object) -> Validation:
        return Validation(nats=float(next(losses)))

    monkeypatch.setattr(training_run, "validate", validate)


@pytest.mark.parametrize("preset", ["auto", "quick"])
def test_a_planned_training_ends_when_validation_has_stopped_falling(
    preset: str, tmp_path: Path, measured: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rising(monkeypatch)
    request = make_request(tmp_path, epochs=None, minutes=3.0)
    clock = TickingClock(0.2)
    events = run(dataclasses.replace(request, preset=preset, overrides={"hidden": 16}), clock=clock)
    (finished,) = of_kind(events, Finished)
    warnings = [event.text for event in of_kind(events, WarningRaised)]
    said = [text for text in warnings if "stopped falling" in text]
    assert len(said) == 1
    assert ("ends here" in said[0]) == (preset == "auto")
    assert (finished.seconds < 100) == (preset == "auto")
    assert finished.best_nats_per_character == of_kind(events, Validated)[0].nats_per_character
    assert finished.reason == "completed"


class FakeTrainer:
    """Has the parts of a trainer that `Best` uses; a second of 100 is a hundredth of the plan."""

    step_count = 1

    def __init__(self) -> None:
        self.schedule = self

    def progress(self, step: int, seconds: float) -> float:
        return seconds / 100

    def snapshot(self) -> None:
        return None

    def save_rollback_point(self) -> None:
        return None


def judged(*validations: tuple[float, float]) -> list[bool]:
    """Returns whether it is said after each validation: seconds, nats."""
    best, trainer = Best(), FakeTrainer()
    said = []
    for seconds, nats in validations:
        best.record(trainer, nats, seconds)  # type: ignore[arg-type]
        said.append(best.has_stopped_falling())
    return said


def test_it_is_said_once_and_only_after_a_good_part_of_the_plan() -> None:
    gap = max(100 * ENOUGH_PROGRESS, ENOUGH_SECONDS)
    assert judged((1, 2.0), (gap, 2.1), (gap + 1, 2.1), (gap + 9, 3.0)) == [
        False,
        False,
        True,
        False,
    ]
    assert not any(judged((1, 2.0), (20, 1.9), (40, 1.8), (60, 1.7), (80, 1.6), (100, 1.5)))
    assert judged((1, 2.0), (20, 1.9), (20 + gap, 1.95))[-1]
