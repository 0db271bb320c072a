"""Whole trainings whose events a test sees, without a thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from model_fixtures import TickingClock, of_kind

from model.events import Event, StepFinished, WarningRaised
from model.runs.folder import RunFolder
from model.runs.request import RunRequest
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun

React = Callable[[Event, TrainingControls], None]

STEPS_PER_EPOCH = 15


def watch(
    request: RunRequest, react: React = lambda event, controls: None, **options: Any
) -> list[Event]:
    """Runs to the end; `react` sees each event and may use the controls.

    Its clock hardly moves; otherwise a slow machine would validate in the middle of an epoch, too.
    """
    options.setdefault("clock", TickingClock(1e-4))
    controls = TrainingControls()
    events = []
    for event in TrainingRun(request, controls, **options).events():
        events.append(event)
        react(event, controls)
    return events


def at_step(number: int, act: Callable[[TrainingControls], object]) -> React:
    """Returns a ``react`` of `watch` that acts after a step."""

    def react(event: Event, controls: TrainingControls) -> None:
        if isinstance(event, StepFinished) and event.step == number:
            act(controls)

    return react


def run_folder(folder: Path) -> RunFolder:
    return RunFolder(folder / "runs" / "tiny")


def saved_steps(folder: Path) -> list[int]:
    return [saved.metadata.step for saved in run_folder(folder).checkpoints.saved(pytest.fail)]


def warnings_of(events: list[Event]) -> list[str]:
    return [event.text for event in of_kind(events, WarningRaised)]
