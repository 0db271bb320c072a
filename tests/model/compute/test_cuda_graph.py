"""Work that is recorded finds what it finds when it is done anew, on every device there is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from device_fixtures import DROPPING, PLAIN, WINDOWS, every_device, on, trainer_on
from torch import Tensor

from model.compute.cuda_graph import GraphRunner
from model.config import ModelConfig, TrainingConfig
from model.network.dropout import draw_masks
from model.training.trainer import Trainer

MODEL = ModelConfig(hidden=8, layers=2, embedding=4, dropout=0.25)


class Squares:
    """Weights times the squares of what comes, and the sum of that."""

    def __init__(self, device: str) -> None:
        self.weights = torch.tensor([1.0, 2.0, 3.0], device=device)
        self.begun = 0

    def __call__(self, operands: Sequence[Tensor]) -> Sequence[Tensor]:
        self.begun += 1
        squares = self.weights * operands[0] ** 2
        return (squares, squares.sum())


def taken(recording: GraphRunner, work: Squares, rows: int, number: float) -> list[float]:
    """Calls it with rows of the number; returns the squares of the first row, and the sum."""
    operand = torch.full((rows, 3), number, device=work.weights.device)
    squares, total = recording(work, (operand,), rows)
    return [*squares[0].tolist(), float(total)]


@every_device
def test_each_call_is_answered_with_its_own_operands_and_the_weights_of_now(name: str) -> None:
    work = Squares(name)
    recording = GraphRunner(torch.device(name))
    for number in (1.0, 2.0, 3.0, 4.0):
        square = number**2
        expected = [square, 2 * square, 3 * square, 2 * 6 * square]
        assert taken(recording, work, 2, number) == expected
    work.weights.mul_(10)
    assert taken(recording, work, 2, 1.0) == [10, 20, 30, 120]


@every_device
def test_shapes_that_come_once_leave_the_recording_alone(name: str) -> None:
    work = Squares(name)
    recording = GraphRunner(torch.device(name))

    def place(rows: int) -> int:
        operand = torch.ones((rows, 3), device=name)
        return recording(work, (operand,), rows)[0].data_ptr()

    place(4)
    recorded = place(4)
    assert place(2) != recorded
    assert taken(recording, work, 2, 3.0)[0] == 9, "twice in a row: recorded instead"
    assert taken(recording, work, 4, 5.0) == [25, 50, 75, 4 * 150]
    assert taken(recording, work, 2, 2.0) == [4, 8, 12, 48]


@every_device
def test_another_shape_in_between_is_no_reason_to_record_again(name: str) -> None:
    work = Squares(name)
    recording = GraphRunner(torch.device(name))
    for rows in (4, 4, 4):
        taken(recording, work, rows, 1.0)
    begun = work.begun
    taken(recording, work, 3, 1.0)
    taken(recording, work, 4, 1.0)
    again = 1 if name != "cuda" else 0  # a graph is started without the program's functions
    assert work.begun == begun + 1 + again


@every_device
def test_other_numbers_than_operands_are_told_apart_by_the_key(name: str) -> None:
    recording = GraphRunner(torch.device(name))
    operand = torch.ones(3, device=name)

    def times(factor: float) -> float:
        return float(recording(lambda them: (them[0].sum() * factor,), (operand,), factor)[0])

    assert [times(2.0), times(2.0), times(2.0)] == [6, 6, 6]
    assert [times(5.0), times(5.0), times(5.0)] == [15, 15, 15]
    assert times(2.0) == 6


def test_work_that_cannot_be_recorded_is_done_as_it_comes() -> None:
    work = Squares("cpu")
    recording = GraphRunner(torch.device("cpu"))
    taken(recording, work, 2, 1.0)
    trouble = RuntimeError("operation not permitted when stream is capturing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GraphRunner, "_do_again", lambda *_: (_ for _ in ()).throw(trouble))
        assert taken(recording, work, 2, 2.0) == [4, 8, 12, 48]
    begun = work.begun
    assert taken(recording, work, 2, 3.0) == [9, 18, 27, 108]
    assert work.begun == begun + 1, "and is not tried again"


@every_device
@pytest.mark.parametrize("training", [PLAIN, WINDOWS, DROPPING], ids=["plain", "windows", "drop"])
def test_recorded_steps_are_the_steps(
    name: str, training: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODEL if training is DROPPING else dataclasses.replace(MODEL, dropout=0.0)

    def losses_of(trainer: Trainer) -> list[float]:
        teacher = [trainer.step(0.0).loss for _ in range(12)]
        assert trainer.teach()
        trainer.begin_student(0.0)
        return teacher + [trainer.step(0.0).loss for _ in range(12)]

    recorded = trainer_on(on(name), training, model)
    losses = losses_of(recorded)
    monkeypatch.setattr(GraphRunner, "_record", lambda *_: False)
    plain = trainer_on(on(name), training, model)
    again = losses_of(plain)
    assert recorded._workers._recording._recorded is not None
    assert losses == (pytest.approx(again, rel=1e-5) if name == "cuda" else again)
    for weight, other in zip(
        recorded.network.parameters(), plain.network.parameters(), strict=True
    ):
        torch.testing.assert_close(weight, other)


def test_masks_are_made_again_of_their_factors() -> None:
    masks = draw_masks(MODEL, DROPPING, batch=3, width=4, device=torch.device("cpu"))
    assert masks is not None
    factors = masks.factors()
    assert [tuple(factor.shape) for factor in factors] == [(3, 4), (3, 8), (3, 8), *[(32, 8)] * 2]
    doubled = masks.with_factors([2 * factor for factor in factors]).factors()
    assert all(map(torch.equal, doubled, [2 * factor for factor in factors]))
    assert len(doubled) == len(factors)
    without = dataclasses.replace(masks, inputs=None, recurrent=(None, masks.recurrent[1]))
    again = without.with_factors(without.factors())
    assert again.inputs is None
    assert again.recurrent[0] is None
    assert again.recurrent[1] is masks.recurrent[1]
    assert again.outputs == masks.outputs
