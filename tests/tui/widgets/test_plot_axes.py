"""Ticks of the plot."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.plot_axes import SpacedAxis


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
