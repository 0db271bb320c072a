"""What TensorBoard reads of a run."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import pytest
from model_fixtures import make_request, of_kind

from model.events import Event, SampleRecorded, StepFinished, Validated, WarningRaised
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun
from tui.cli import request
from tui.cli.main import run

MISSING = importlib.util.find_spec("tensorboard") is None
needs_package = pytest.mark.skipif(MISSING, reason="the package tensorboard is not installed")


def train(folder: Path, *, until: int | None = None, **request: Any) -> list[Event]:
    made = make_request(folder, **request)
    controls = TrainingControls()
    events = []
    for event in TrainingRun(dataclasses.replace(made, tensorboard=True), controls).events():
        events.append(event)
        if isinstance(event, StepFinished) and event.step == until:
            controls.stop(hurry=True)
    return events


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    return found


@needs_package
def test_curves_and_samples_of_a_run_are_read_back(tmp_path: Path) -> None:
    events = train(tmp_path)
    found = read(tmp_path / "runs" / "tiny")
    losses = {step.step: step.loss for step in of_kind(events, StepFinished)}
    shown = {scalar.step: scalar.value for scalar in found.Scalars("loss/training")}
    assert shown
    assert all(losses[step] == pytest.approx(value) for step, value in shown.items())
    validations = [event.nats_per_character for event in of_kind(events, Validated)]
    shown_validations = [scalar.value for scalar in found.Scalars("loss/validation")]
    assert shown_validations == pytest.approx(validations)
    for tag in ("learning rate", "gradient norm", "characters a second"):
        assert [scalar.step for scalar in found.Scalars(tag)] == list(shown)
    sample = of_kind(events, SampleRecorded)[1]
    tag = f"temperature {sample.temperature:g}/text_summary"
    (text,) = found.Tensors(tag)[0].tensor_proto.string_val
    lines = text.decode().split("\n")
    assert all(line.startswith("    ") for line in lines)
    assert "\n".join(line[4:] for line in lines) == sample.prompt + sample.text


@needs_package
def test_a_resumed_run_goes_on_in_the_same_curve(tmp_path: Path) -> None:
    train(tmp_path, until=3)
    train(tmp_path, resume=True)
    steps = [scalar.step for scalar in read(tmp_path / "runs" / "tiny").Scalars("loss/training")]
    assert steps == sorted(set(steps))
    assert steps[0] == 1
    assert max(steps) > 3


@needs_package
def test_a_file_that_cannot_be_written_costs_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    def refuse(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", refuse)
    events = train(tmp_path)
    warnings = [event.text for event in of_kind(events, WarningRaised)]
    (told,) = [text for text in warnings if "TensorBoard" in text]
    assert "No space left on device" in told
    assert of_kind(events, Validated)


def test_without_the_package_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(request, "find_spec", lambda name: None)
    for command in (["train"], []):
        assert run([*command, "--tensorboard"]) == 2
        assert "charlm-tui[tensorboard]" in capsys.readouterr().err
