"""NaN and infinity wherever a number can go wrong: never applied, never saved, never drawn."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from model_fixtures import TickingClock, make_request, of_kind

from model.errors import TrainingDiverged
from model.events import (
    Event,
    Finished,
    StepFinished,
    Validated,
    WarningRaised,
    event_from_record,
    recorded_event,
)
from model.network.published import PublishedWeights
from model.runs.checkpoint_file import read_checkpoint
from model.runs.folder import RunFolder
from model.training.controls import TrainingControls
from model.training.optimiser import AdamW
from model.training.trainer import Trainer
from model.training.training_run import TrainingRun
from model.training.validation import Validation, validate
from tui.console.reporters import sentence
from tui.view.chart_view import ChartView, curves_of
from tui.view.curve import Curve
from tui.view.fold import fold
from tui.view.state import ViewState
from tui.widgets.ascii_chart import ascii_rows
from tui.widgets.header_bar import state_sign
from tui.widgets.progress_row import progress_row
from tui.widgets.run_pane import figure_rows

BAD = [math.nan, math.inf, -math.inf]
STEPS_PER_EPOCH = 15

Spoil = Callable[[pytest.MonkeyPatch, range, float], None]


def in_the_loss(patch: pytest.MonkeyPatch, steps: range, value: float) -> None:
    gradients = Trainer._gradients

    def spoilt(trainer: Trainer, batch: Any) -> torch.Tensor:
        loss = gradients(trainer, batch)
        return torch.full_like(loss, value) if trainer.step_count in steps else loss

    patch.setattr(Trainer, "_gradients", spoilt)


def in_a_gradient(patch: pytest.MonkeyPatch, steps: range, value: float) -> None:
    gradients = Trainer._gradients

    def spoilt(trainer: Trainer, batch: Any) -> torch.Tensor:
        loss = gradients(trainer, batch)
        if trainer.step_count in steps:
            gradient = trainer.network.head.bias.grad
            assert gradient is not None
            gradient[0] = value
        return loss

    patch.setattr(Trainer, "_gradients", spoilt)


def in_a_weight(patch: pytest.MonkeyPatch, steps: range, value: float) -> None:
    """What an update does that overflows."""
    step, count = AdamW.step, itertools.count()

    def spoilt(optimiser: AdamW, *args: Any) -> None:
        step(optimiser, *args)
        if next(count) in steps:
            _, (bias, *_) = optimiser._groups[1]
            with torch.no_grad():
                bias.view(-1)[0] = value

    patch.setattr(AdamW, "step", spoilt)


def in_the_validation(patch: pytest.MonkeyPatch, steps: range, value: float) -> None:
    def spoilt(trainer: Trainer, *rest: Any) -> Validation | None:
        found = validate(trainer, *rest)
        if found is not None and trainer.step_count - 1 in steps:
            return dataclasses.replace(found, nats=value)
        return found

    patch.setattr("model.training.training_run.validate", spoilt)


class Watched:
    """A training, with a look at everything that it lets out."""

    def __init__(self, folder: Path) -> None:
        self.folder = RunFolder(folder / "runs" / "tiny")
        self.events: list[Event] = []
        self.state = ViewState()
        request = make_request(folder, epochs=3, checkpoint_every=0.2)
        self.run = TrainingRun(
            request, TrainingControls(), publish=self._take, clock=TickingClock(0.01)
        )

    def _take(self, published: PublishedWeights) -> None:
        assert is_finite(published.snapshot)

    def to_the_end(self) -> None:
        try:
            for event in self.run.events():
                self.events.append(event)
                self._show(event)
        except TrainingDiverged as error:
            assert "three roll-backs" in str(error)

    def _show(self, event: Event) -> None:
        """Folds the event and draws what follows from it."""
        self.state = fold(self.state, [event], 0.0)
        if not isinstance(event, StepFinished) or event.step % 10 == 1:
            self._draw(event)

    def _draw(self, event: Event) -> None:
        assert is_finite(self.state)
        sentence(event, 1.0)
        rows = [row for _, row in figure_rows(self.state, 0.0, 40, ascii_only=True, spark=True)]
        rows.append(progress_row(self.state, 0.0, 80, ascii_only=True))
        rows.append((state_sign(self.state, ascii_only=True),))
        words = " ".join(text for row in rows for text, _ in row).lower()
        assert " nan" not in words
        assert " inf" not in words

    def weights_at(self) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
        for path in self.folder.checkpoints.paths():
            for name, tensor in read_checkpoint(path).tensors.items():
                if np.issubdtype(tensor.dtype, np.floating):
                    yield f"{path.name} {name}", tensor


def is_finite(value: object) -> bool:
    """Looks through everything that an object holds."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, np.ndarray):
        return not np.issubdtype(value.dtype, np.floating) or bool(np.isfinite(value).all())
    if isinstance(value, Curve):
        return all(map(is_finite, value.points + value.pending))
    if isinstance(value, tuple | list):
        return all(map(is_finite, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, StepFinished | Finished):
        return all(is_finite(getattr(value, field.name)) for field in dataclasses.fields(value))
    return True


def no_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


SPELLS = [
    *((range(20, 21), value) for value in BAD),
    (range(14, 15), math.nan),
    (range(27, 30), math.inf),
    (range(30, 10_000), math.nan),
]
"""Steps, and the number that goes wrong in each."""


@pytest.mark.parametrize(
    "spoil", [in_the_loss, in_a_gradient, in_a_weight, in_the_validation], ids=lambda s: s.__name__
)
@pytest.mark.parametrize(("steps", "value"), SPELLS, ids=str)
def test_a_number_that_went_wrong_is_never_saved_written_or_drawn(
    steps: range, spoil: Spoil, value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, steps, value)
    it = Watched(tmp_path)
    it.to_the_end()
    (finished,) = of_kind(it.events, Finished)
    lasting = len(steps) > 1000 and spoil is not in_the_validation
    assert finished.reason == ("diverged" if lasting else "completed")
    assert any("finite" in event.text for event in of_kind(it.events, WarningRaised)) == (
        spoil is not in_the_validation or any((step + 1) % STEPS_PER_EPOCH == 0 for step in steps)
    )
    for name, tensor in it.weights_at():
        assert np.isfinite(tensor).all(), name
    assert it.folder.checkpoints.load_latest(pytest.fail).metadata.step <= finished.step
    assert all(math.isfinite(event.nats_per_character) for event in of_kind(it.events, Validated))
    for line in (it.folder.path / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=no_constant)
    assert ascii_rows(curves_of(it.state, ChartView()), 40, 8)


@pytest.mark.parametrize("value", BAD)
def test_weights_that_went_wrong_are_left_behind_within_the_step(
    value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_weight(monkeypatch, range(20, 21), value)
    it = Watched(tmp_path)
    it.to_the_end()
    (warning,) = [e.text for e in of_kind(it.events, WarningRaised) if "finite" in e.text]
    assert warning.startswith("step 21: the weights are not finite; went back to the last good")


@pytest.mark.parametrize(
    "record",
    [
        {"event": "step", "step": 1, "loss": "low"},
        {"event": "step", "step": "1"},
        {"event": "step", "epoch": None},
        {"event": "step", "step": True},
        {"event": "step", "time": []},
        {"event": "validation", "best": "yes"},
        {"event": "finished", "reason": "tired"},
        {"event": "sample", "text": 7},
        {"event": 7},
        {},
    ],
    ids=str,
)
def test_a_line_of_a_runs_file_that_is_of_another_type_is_left_out(record: dict[str, Any]) -> None:
    good: dict[str, dict[str, Any]] = {
        "step": {
            "time": 1.0, "step": 1, "epoch": 1, "loss": 1, "learning_rate": None,
            "gradient_norm": 0.5, "characters_per_second": 1e3,
        },
        "validation": {
            "time": 1.0, "step": 1, "epoch": 1, "nats_per_character": 2.0,
            "bits_per_character": 2.9, "best": True,
        },
        "finished": {
            "time": 1.0, "reason": "stopped", "step": 1, "best_nats_per_character": None,
            "best_bits_per_character": None, "seconds": 1.0, "characters_per_second": 1.0,
        },
        "sample": {
            "time": 1.0, "step": 1, "epoch": 1, "temperature": 1.0, "seed": 0, "prompt": "",
            "text": "a",
        },
    }  # fmt: skip
    kind = record.get("event")
    whole = {**good.get(str(kind), {}), "event": kind}
    if kind in good:
        assert recorded_event(whole) is not None
    spoilt = {**whole, **record}
    assert recorded_event(spoilt) is None
    assert event_from_record(spoilt, last_step=10) is None
