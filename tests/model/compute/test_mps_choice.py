"""The choice between the CPU and Apple's MPS, with figures in place of the two devices."""

from __future__ import annotations

import math
from typing import TypeVar

import pytest

from model.compute.mps_choice import CpuOrMps, StepResult, cpu_or_mps

RIGHT = StepResult(loss=4.5, gradient_norm=0.25)
FigureT = TypeVar("FigureT")
ROUNDED = StepResult(loss=4.5 * (1 + 1e-5), gradient_norm=0.25 * (1 - 1e-5))


def choose(seconds: float | Exception, result: StepResult | Exception) -> tuple[str, str | None]:
    """Chooses where a step takes the CPU a second, and MPS what is given."""

    def of_mps(figure: FigureT | Exception) -> FigureT:
        if isinstance(figure, Exception):
            raise figure
        return figure

    return cpu_or_mps(
        lambda kind: 1.0 if kind == "cpu" else of_mps(seconds),
        lambda kind: RIGHT if kind == "cpu" else of_mps(result),
    )


def test_mps_is_taken_where_it_is_faster_and_right() -> None:
    assert choose(0.9, ROUNDED) == ("mps", None)


@pytest.mark.parametrize("seconds", [1.0, 2.0, math.nan])
def test_the_cpu_is_taken_where_mps_is_not_faster(seconds: float) -> None:
    never_asked = AssertionError("the result of a slower device matters to no one")
    assert choose(seconds, never_asked) == ("cpu", None)


@pytest.mark.parametrize(
    ("wrong", "figures"),
    [
        (StepResult(loss=4.6, gradient_norm=0.25), "loss 4.6000 for 4.5000"),
        (StepResult(loss=4.5, gradient_norm=0.3), "gradient norm 0.3000 for 0.2500"),
        (StepResult(loss=math.nan, gradient_norm=0.25), "loss nan for 4.5000"),
        (StepResult(loss=4.5, gradient_norm=math.inf), "gradient norm inf for 0.2500"),
    ],
)
def test_the_cpu_is_taken_where_mps_computes_something_else(
    wrong: StepResult, figures: str
) -> None:
    kind, note = choose(0.1, wrong)
    assert kind == "cpu"
    assert note is not None
    assert note.startswith("the CPU trains, because MPS computes a step wrongly: ")
    assert figures in note


@pytest.mark.parametrize("fails_while_timed", [True, False])
def test_the_cpu_is_taken_where_a_step_on_mps_fails(fails_while_timed: bool) -> None:
    error = NotImplementedError("the operator 'aten::lstm'\nis not implemented")
    kind, note = choose(*((error, RIGHT) if fails_while_timed else (0.1, error)))
    assert kind == "cpu"
    assert note == (
        "the CPU trains, because a step on MPS failed "
        "(NotImplementedError: the operator 'aten::lstm' is not implemented)"
    )


def test_a_cpu_that_fails_is_no_reason_to_take_mps() -> None:
    def fail(kind: CpuOrMps) -> float:
        raise MemoryError

    with pytest.raises(MemoryError):
        cpu_or_mps(fail, lambda _: RIGHT)
