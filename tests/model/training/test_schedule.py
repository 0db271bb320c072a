"""The plan of a training and its learning rates."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_fixtures import TINY_TRAINING

from model.training.schedule import FINAL_FRACTION, Schedule

EPOCHS = dataclasses.replace(TINY_TRAINING, learning_rate=0.4, warmup_steps=5, epochs=5)
MINUTES = dataclasses.replace(EPOCHS, epochs=None, minutes=2.0)
BOTH = dataclasses.replace(EPOCHS, minutes=2.0)
PLAN = Schedule(training=EPOCHS, steps_per_epoch=20)


def test_it_warms_up_in_a_line() -> None:
    rates = [PLAN.learning_rate(step, 0) for step in range(5)]
    cosines = [PLAN.learning_rate(step, 0) / ((step + 1) / 5) for step in range(5)]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(0.08)
    assert all(0.38 < rate < 0.4001 for rate in cosines)


def test_warm_up_takes_a_twentieth_of_a_short_plan() -> None:
    patient = dataclasses.replace(MINUTES, warmup_steps=1_000_000)
    plan = Schedule(training=patient, steps_per_epoch=20)
    assert plan.learning_rate(9, 3) == pytest.approx(0.2, rel=0.01)
    assert plan.learning_rate(18, 6) == pytest.approx(0.4, rel=0.01)


def test_it_falls_to_the_final_fraction_at_the_planned_end_of_epochs() -> None:
    rates = [PLAN.learning_rate(step, 1e9) for step in range(10, 101)]
    assert rates == sorted(rates, reverse=True)
    assert PLAN.learning_rate(50, 0) == pytest.approx(0.4 * (1 + FINAL_FRACTION) / 2)
    assert rates[-1] == pytest.approx(0.4 * FINAL_FRACTION)


def test_it_falls_to_the_final_fraction_at_the_planned_end_of_a_time_budget() -> None:
    plan = Schedule(training=MINUTES, steps_per_epoch=20)
    assert plan.planned_seconds == 120
    assert plan.planned_steps is None
    assert plan.learning_rate(500, 60) == pytest.approx(0.4 * (1 + FINAL_FRACTION) / 2)
    assert plan.learning_rate(500, 120) == pytest.approx(0.4 * FINAL_FRACTION)


@pytest.mark.parametrize(
    ("step", "seconds", "done"),
    [(0, 0, 0), (50, 0, 0.5), (0, 30, 0.25), (50, 90, 0.75), (100, 0, 1), (0, 120, 1), (500, 0, 1)],
)
def test_of_two_plans_the_one_further_on_counts(step: int, seconds: float, done: float) -> None:
    assert Schedule(training=BOTH, steps_per_epoch=20).progress(step, seconds) == done


@given(step=st.integers(0, 10**6), seconds=st.floats(0, 1e6))
def test_a_rate_is_never_above_the_peak_nor_zero(step: int, seconds: float) -> None:
    for training in (EPOCHS, MINUTES, BOTH):
        rate = Schedule(training=training, steps_per_epoch=20).learning_rate(step, seconds)
        assert 0 < rate <= 0.4


def test_a_teacher_and_its_student_have_a_whole_schedule_each() -> None:
    training = dataclasses.replace(EPOCHS, teacher_share=0.4)
    teacher = Schedule(training=training, steps_per_epoch=20)
    assert teacher.trains_teacher
    assert teacher.learning_rate(20, 0) == pytest.approx(0.4 * (1 + FINAL_FRACTION) / 2)
    assert teacher.learning_rate(40, 0) == pytest.approx(0.4 * FINAL_FRACTION)
    assert [step for step in range(60) if teacher.teacher_is_done(step, 0)] == [*range(40, 60)]
    student = dataclasses.replace(teacher, student_since=(40, 9.0))
    assert not student.trains_teacher
    assert not student.teacher_is_done(99, 0)
    warm = [student.learning_rate(40 + step, 0) for step in range(3)]
    assert warm == sorted(warm)
    assert warm[0] == pytest.approx(0.08)
    assert student.learning_rate(70, 0) == pytest.approx(0.4 * (1 + FINAL_FRACTION) / 2)
    assert student.learning_rate(100, 0) == pytest.approx(0.4 * FINAL_FRACTION)


@given(
    step=st.integers(0, 10**6),
    seconds=st.floats(0, 1e6),
    since=st.tuples(st.integers(0, 10**6), st.floats(0, 1e6)),
    share=st.floats(0.01, 0.9),
)
def test_the_progress_of_each_network_is_from_zero_to_one(
    step: int, seconds: float, since: tuple[int, float], share: float
) -> None:
    for training in (EPOCHS, MINUTES, BOTH):
        taught = dataclasses.replace(training, teacher_share=share)
        for student_since in (None, since):
            plan = Schedule(training=taught, steps_per_epoch=20, student_since=student_since)
            assert 0 <= plan.network_progress(step, seconds) <= 1
            assert 0 < plan.learning_rate(plan.first_step + step, seconds) <= 0.4


def test_a_constant_rate_is_constant() -> None:
    training = dataclasses.replace(EPOCHS, constant_learning_rate=True)
    plan = Schedule(training=training, steps_per_epoch=20)
    assert {plan.learning_rate(step, step) for step in range(200)} == {0.4}


def test_without_warm_up_it_begins_at_the_peak() -> None:
    training = dataclasses.replace(EPOCHS, warmup_steps=0)
    assert Schedule(training=training, steps_per_epoch=20).learning_rate(0, 0) == 0.4
