"""The pane of figures: which words stay where there is little room."""

from __future__ import annotations

import pytest

from tui.widgets.run_pane import _first_parts

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
