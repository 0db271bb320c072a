"""Ticks of the plot."""

from __future__ import annotations

from itertools import pairwise
from math import log10

from hypothesis import example, given
from hypothesis import strategies as st

from tui.view.ticks import scale_of
from tui.widgets.curve_plot import SpacedAxis


@given(
    start=st.floats(0, 1e6),
    span=st.floats(1e-3, 1e9),
    columns=st.integers(1, 300),
)
def test_labels_below_a_plot_never_touch(start: float, span: float, columns: int) -> None:
    low, high = start, start + span
    ticks, labels = SpacedAxis(columns).get_ticks_and_labels(low, high)
    assert ticks
    assert len(ticks) == len(labels)
    places = [(tick - low) / (high - low) * columns for tick in ticks]
    for (here, there), (left, right) in zip(pairwise(places), pairwise(labels), strict=True):
        assert here + len(left) / 2 < there - len(right) / 2


def test_a_narrow_plot_has_fewer_ticks_and_a_wide_one_all() -> None:
    assert SpacedAxis(200).get_ticks_and_labels(0.0, 4.1)[1][1] == "0.5"
    assert SpacedAxis(32).get_ticks_and_labels(0.0, 4.1)[1] == ["0", "1", "2", "3", "4"]


VALUES = st.one_of(st.floats(-1e9, 1e9), st.floats(1e-7, 1e-2), st.floats(0, 10))


@example(one=0.0, other=5e-324, rows=1)
@given(one=VALUES, other=VALUES, rows=st.integers(1, 60))
def test_ticks_are_evenly_spaced_in_rows_and_hold_the_curve(
    one: float, other: float, rows: int
) -> None:
    scale = scale_of(one, other, rows)
    assert scale.low <= min(one, other)
    assert max(one, other) <= scale.high
    row = (scale.high - scale.low) / rows
    places = [(tick - scale.low) / row for tick in scale.ticks]
    assert all(abs(place % 1 - 0.5) < 0.01 for place in places), "in the middle of a row"
    gaps = {round(there - here) for here, there in pairwise(places)}
    assert len(gaps) <= 1
    assert len(scale.ticks) >= min(2, rows // 4)


@given(one=VALUES, other=VALUES, rows=st.integers(1, 60))
def test_labels_differ_and_are_numbers_of_their_ticks(one: float, other: float, rows: int) -> None:
    scale = scale_of(one, other, rows)
    assert len(set(scale.labels)) == len(scale.labels)


@given(low=st.floats(1e-7, 1e9), ratio=st.floats(1.001, 1e6), rows=st.integers(1, 60))
def test_labels_of_a_logarithmic_axis_differ(low: float, ratio: float, rows: int) -> None:
    scale = scale_of(log10(low), log10(low * ratio), rows, logarithmic=True)
    assert len(set(scale.labels)) == len(scale.labels)


def test_labels_are_short_where_people_look() -> None:
    for low, high, logarithmic in (
        (1.2, 5.0, False),
        (0.019, 0.0190001, False),
        (3e-5, 1.8e-3, False),
        (89_100.0, 412_000.0, False),
        (log10(89_100.0), log10(412_000.0), True),
        (log10(1e-4), log10(2e-2), True),
    ):
        for rows in (5, 7, 11, 30):
            scale = scale_of(low, high, rows, logarithmic=logarithmic)
            assert all(len(label) <= 7 for label in scale.labels), scale


@given(
    start=st.floats(0, 1e6),
    span=st.floats(1e-3, 1e9),
    columns=st.integers(12, 300),
)
def test_no_label_below_a_plot_is_cut_at_the_right(start: float, span: float, columns: int) -> None:
    ticks, labels = SpacedAxis(columns).get_ticks_and_labels(start, start + span)
    if len(ticks) > 1:
        assert (ticks[-1] - start) / span * columns + len(labels[-1]) / 2 <= columns + 1e-6
