"""Folding events into the state, and the figures that are made of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from app_script import training
from hypothesis import given
from hypothesis import strategies as st

from model import events as ev
from model.config import SamplingConfig
from model.runs.decimate import extremes, means
from tui.view.curve import CURVE_POINTS, MAX_PLOTTED, Curve
from tui.view.fold import fold
from tui.view.format import bar, clock, fixed, percent, short, slider, small, span, sparkline
from tui.view.state import ViewState
from tui.widgets.ascii_chart import ascii_rows
from tui.widgets.header_bar import state_sign
from tui.widgets.painted import row_width
from tui.widgets.progress_row import (
    epoch_fraction,
    pace,
    progress_row,
    total_fraction,
    total_seconds_left,
)
from tui.widgets.run_pane import figure_rows

ANY_FLOAT = st.floats()


def step(number: int, **changes: Any) -> ev.StepFinished:
    values: dict[str, Any] = {
        "time": number * 0.1,
        "step": number,
        "epoch": 1 + (number - 1) // 100,
        "loss": 2.0,
        "learning_rate": 0.005,
        "gradient_norm": 0.5,
        "characters_per_second": 1000.0,
    }
    return ev.StepFinished(**(values | changes))


PLAN = ev.Planned(
    steps_per_epoch=100,
    planned_steps=1_000,
    planned_seconds=None,
    first_step=0,
    layers=1,
    hidden=256,
)
TRAINING = ev.TrainingStateChanged(state="training")


def text_of(row: tuple[tuple[str, str], ...]) -> str:
    return "".join(text for text, _ in row)


@given(st.lists(st.tuples(ANY_FLOAT, ANY_FLOAT, ANY_FLOAT, ANY_FLOAT), max_size=30), ANY_FLOAT)
def test_no_number_reaches_the_state_that_is_not_finite(
    values: list[tuple[float, float, float, float]], nats: float
) -> None:
    state = fold(ViewState(), [PLAN, TRAINING], 0.0)
    for number, (loss, norm, speed, seconds) in enumerate(values, 1):
        event = step(
            number, loss=loss, gradient_norm=norm, characters_per_second=speed, time=seconds
        )
        state = fold(state, [event], float(number))
    validated = ev.Validated(
        time=1.0, step=3, epoch=1, nats_per_character=nats, bits_per_character=nats, best=True
    )
    state = fold(state, [validated], 99.0)
    losses = state.losses
    curves = (losses.raw_curve, losses.smoothed_curve, losses.validation_curve)
    assert all(math.isfinite(y) for curve in curves for _, y in curve.points)
    for width in (0, 10, 40, 80, 200):
        for ascii_only in (False, True):
            assert row_width(progress_row(state, 100.0, width, ascii_only=ascii_only)) >= 0
            for _, row in figure_rows(state, 9.0, width, ascii_only=ascii_only, spark=True):
                assert "nan" not in text_of(row)
                assert "inf" not in text_of(row)


def test_a_curve_is_bounded_and_keeps_its_mean() -> None:
    curve = Curve()
    for x in range(10_000):
        curve = curve.add(x, 3.0)
    assert CURVE_POINTS / 2 <= len(curve.points) <= CURVE_POINTS
    assert all(y == pytest.approx(3.0) for _, y in curve.points)
    assert [x for x, _ in curve.points] == sorted(x for x, _ in curve.points)


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=30))
def test_a_curve_holds_nothing_that_an_axis_has_no_room_for(
    values: list[tuple[float, float]],
) -> None:
    curve = Curve()
    for x, y in values:
        curve = curve.add(x, y)
    for numbers in zip(*curve.points, strict=True):
        width = max(numbers) - min(numbers)
        assert width == 0 or 1e-290 < width <= 2 * MAX_PLOTTED
        assert all(abs(number) <= MAX_PLOTTED for number in numbers)


def test_the_smoothed_loss_follows() -> None:
    state = fold(ViewState(), [step(n, loss=4.0 - n / 200) for n in range(1, 400)], 0.0)
    assert state.losses.smoothed is not None
    assert 2.0 < state.losses.smoothed < 2.3
    assert state.losses.slow is not None
    assert state.losses.slow > state.losses.smoothed


def test_no_estimate_before_the_warm_up_and_a_good_one_after() -> None:
    early = fold(ViewState(), [PLAN, TRAINING, *[step(n) for n in range(1, 20)]], 0.0)
    assert pace(early.progress) is None
    late = fold(early, [step(n) for n in range(20, 201)], 20.0)
    assert pace(late.progress) == pytest.approx(10.0, rel=0.05)
    assert total_fraction(late.progress, 20.0) == pytest.approx(0.2)
    assert total_seconds_left(late.progress, 20.0) == pytest.approx(80.0, rel=0.05)
    assert epoch_fraction(late.progress) == pytest.approx(1.0)


def test_a_time_budget_gives_the_estimate() -> None:
    plan = ev.Planned(
        steps_per_epoch=100,
        planned_steps=None,
        planned_seconds=60.0,
        first_step=0,
        layers=1,
        hidden=8,
    )
    state = fold(ViewState(), [plan, TRAINING, *[step(n) for n in range(1, 201)]], 0.0)
    assert total_fraction(state.progress, 20.0) == pytest.approx(1 / 3)
    assert total_seconds_left(state.progress, 20.0) == pytest.approx(40.0)


@pytest.mark.parametrize(
    "pause",
    [ev.TrainingStateChanged(state="paused"), ev.Preparing(stage="the teacher reads the text")],
    ids=["paused", "preparing"],
)
def test_the_clock_runs_while_training_and_stands_while_it_does_not(pause: ev.Event) -> None:
    state = fold(ViewState(), [TRAINING, step(10)], 100.0)
    assert state.elapsed(103.0) == pytest.approx(4.0)
    state = fold(state, [pause], 103.0)
    assert state.elapsed(200.0) == pytest.approx(4.0)
    state = fold(state, [TRAINING], 200.0)
    assert state.elapsed(201.0) == pytest.approx(5.0)


def test_a_finished_run_says_so() -> None:
    finished = ev.Finished(
        time=9.0,
        reason="diverged",
        step=50,
        best_nats_per_character=None,
        best_bits_per_character=None,
        seconds=9.0,
        characters_per_second=math.inf,
    )
    state = fold(ViewState(), [PLAN, TRAINING, finished], 0.0)
    assert state.elapsed(50.0) == 9.0
    assert "diverged" in text_of(progress_row(state, 0.0, 80, ascii_only=True))
    assert state_sign(state, ascii_only=False)[0] == "✓ DONE diverged"
    # Whoever watches sees it resumed.
    state = fold(state, training(1), 50.0)
    assert state_sign(state, ascii_only=False)[0] == "● TRAINING"
    assert "diverged" not in text_of(progress_row(state, 51.0, 80, ascii_only=True))


def test_writing_events_are_folded() -> None:
    written = ev.CharacterWritten(character="a", probability=0.25, entropy=1.0, candidates=())
    state = fold(
        ViewState(),
        [
            written,
            ev.WritingRestarted(seed=4, prompt="x", note=None),
            written,
            written,
            ev.SamplingApplied(sampling=SamplingConfig(temperature=0.7)),
            ev.RateSet(characters_per_second=30.0),
            ev.WeightsSwapped(step=9, best=True),
            ev.WritingHeld(held=True),
        ],
        0.0,
    )
    writing = state.writing
    assert writing.characters == 2
    assert writing.surprise == pytest.approx(2.0)
    assert (writing.seed, writing.rate) == (4, 30.0)
    assert (writing.weights_step, writing.weights_best, writing.held) == (9, True, True)


def test_warnings_are_kept_within_bounds() -> None:
    warnings = [ev.WarningRaised(time=0.0, text=str(n)) for n in range(200)]
    state = fold(ViewState(), warnings, 0.0)
    assert state.warnings[-1] == "199"
    assert len(state.warnings) == 50
    assert state.warnings_raised == 200


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=500), st.integers(0, 50))
def test_thinned_points_fit_the_columns(points: list[tuple[float, float]], columns: int) -> None:
    for thin in (extremes, means):
        assert len(thin(points, columns)) <= 2 * columns
    if points and columns:
        assert max(y for _, y in extremes(points, columns)) == max(y for _, y in points)


@given(
    st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=50).map(tuple),
    st.integers(0, 100),
    st.integers(0, 30),
)
def test_the_ascii_chart_is_ascii_and_fits(
    points: tuple[tuple[float, float], ...], width: int, height: int
) -> None:
    rows = ascii_rows({"train": points, "raw": points}, width, height)
    assert all(text_of(row).isascii() for row in rows)
    assert all(row_width(row) <= max(width, 0) for row in rows)
    assert len(rows) <= max(1, height)


@given(ANY_FLOAT, st.integers(-5, 50))
def test_small_pictures_take_any_number(value: float, width: int) -> None:
    assert len("".join(bar(value, width))) == max(0, width)
    assert len(sparkline([value, 1.0, value], width)) <= max(0, width)
    assert len(slider(value, 2.0, 11)) == 11
    for words in (fixed(value), short(value), small(value), clock(value), span(value)):
        assert words
        assert "nan" not in words
        assert "inf" not in words
    assert percent(value)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (short(183_000), "183k"),
        (short(389_204), "389k"),
        (short(1_200_000), "1.2M"),
        (small(0.0018), "1.8e-3"),
        (clock(3_723), "1:02:03"),
        (span(312), "5:12"),
        (percent(0.999), "99%"),
        (fixed(None), "-"),
    ],
)
def test_figures_read_well(words: str, wanted: str) -> None:
    assert words == wanted


def test_steps_made_anew_take_the_place_of_the_lost_ones() -> None:
    """Whoever watches a run sees it killed at step 40 and gone on with from step 31."""
    state = fold(ViewState(), training(40), 0.0)
    anew = [event for event in training(45) if isinstance(event, ev.StepFinished)][30:]
    state = fold(state, anew, 0.0)
    for curve in (state.losses.raw_curve, state.losses.smoothed_curve, state.losses.rate_curve):
        assert [x for x, _ in curve.points] == list(range(1, 46))
    assert [x for x, _ in state.losses.validation_curve.points] == [10, 20, 30]


def test_another_network_has_no_validation_yet() -> None:
    before = fold(ViewState(), training(40), 0.0)
    student = replace(PLAN, first_step=40, role="student", network_since=40)
    state = fold(before, [student], 0.0)
    assert before.losses.validation is not None
    assert (state.losses.validation, state.losses.validation_before) == (None, None)
    assert (state.losses.best, state.progress.role) == (before.losses.best, "student")
    assert state.losses.validation_curve == before.losses.validation_curve
    # A watcher reads the record first, and learns afterwards who began when.
    watched = fold(before, [replace(student, first_step=20, network_since=20)], 0.0)
    assert watched.losses == before.losses


def test_a_failure_to_save_lasts_until_a_checkpoint_is_saved() -> None:
    failed = ev.SaveFailed(sentence="runs/a: checkpoint not saved (full)")
    state = fold(ViewState(), [*training(40), failed], 0.0)
    state = fold(state, training(45)[-8:-2], 0.0)
    assert state.save_failure == failed
    saved = ev.CheckpointSaved(time=1.0, step=46, path="x", best=False)
    assert fold(state, [saved], 0.0).save_failure is None


def test_the_run_tells_the_threads_that_it_has_now() -> None:
    def threads_of(state: ViewState) -> str:
        rows = [
            text_of(row) for _, row in figure_rows(state, 9.0, 60, ascii_only=True, spark=False)
        ]
        (row,) = [row for row in rows if row.startswith("precision")]
        return row

    state = fold(ViewState(), [ev.ComputingChanged(threads=4), *training()], 0.0)
    assert threads_of(state).endswith("2 threads")
    assert threads_of(fold(state, [ev.ComputingChanged(threads=1)], 1.0)).endswith("1 thread")


def test_the_log_tells_that_a_part_of_a_text_was_counted() -> None:
    figures = (("5-gram", 2.2),)
    whole = ev.ReferencesMeasured(bits_per_character=figures)
    part = ev.ReferencesMeasured(bits_per_character=figures, note="the last 9 of 90 characters")
    state = fold(ViewState(), [whole, part], 0.0)
    assert state.references == figures
    assert [line.text for line in state.log] == [part.note]
