"""The pane of figures: which words stay where there is little room."""

from __future__ import annotations

import pytest

from tui.view.state import ViewState
from tui.widgets.run_pane import _first_parts, _reference_parts

PLAN = "LSTM(384), 5 min, about 14 passes"


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        (33, PLAN),
        (32, "LSTM(384), 5 min"),
        (18, "LSTM(384), 5 min"),
        (15, "LSTM(384)"),
        (6, "LSTM(…"),
    ],
)
def test_a_plan_loses_whole_parts(room: int, shown: str) -> None:
    assert _first_parts(PLAN, room) == shown


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        (31, "  5-gram 2.20  xz 2.81"),
        (32, "  5-gram 2.20  xz 2.81  bz2 2.31"),
        (22, "  5-gram 2.20  xz 2.81"),
        (21, "  5-gram 2.20"),
        (4, "  5-gram 2.20"),
    ],
)
def test_bits_of_references_are_as_many_as_fit(room: int, shown: str) -> None:
    state = ViewState(references=(("bz2", 2.31), ("xz", 2.81), ("5-gram", 2.2)))
    assert "".join(text for text, _ in _reference_parts(state, room)) == shown
