"""The pane of figures: which words stay where there is little room."""

from __future__ import annotations

import pytest

from model.events import NetworkRole
from tui.view.state import Progress, ViewState, Writing
from tui.widgets.frame import title_words
from tui.widgets.run_pane import _first_parts, _reference_parts, figure_rows

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


@pytest.mark.parametrize(
    ("role", "words"), [("only", []), ("teacher", ["teacher"]), ("student", ["student"])]
)
def test_the_network_of_two_that_is_trained_is_named(role: NetworkRole, words: list[str]) -> None:
    state = ViewState(progress=Progress(role=role))
    rows = figure_rows(state, 0.0, 40, ascii_only=False, spark=True)
    shown = ["".join(text for text, _ in row) for _, row in rows]
    assert [row.split(maxsplit=1)[1] for row in shown if row.startswith("network")] == words


@pytest.mark.parametrize(
    ("role", "since", "step", "best", "words"),
    [
        ("teacher", 0, 0, False, "live weights, step 0"),
        ("student", 30, 20, False, "teacher's weights, step 20"),
        ("student", 30, 30, False, "teacher's weights, step 30"),
        ("student", 30, 31, False, "live weights, step 31"),
        ("student", 30, 20, True, "best weights, step 20"),
    ],
)
def test_the_edge_names_whose_weights_write(
    role: NetworkRole, since: int, step: int, best: bool, words: str
) -> None:
    progress = Progress(role=role, network_since=since)
    writing = Writing(weights_step=step, weights_best=best)
    state = ViewState(progress=progress, writing=writing)
    row = title_words(state, 0.7, 80, ink="", ascii_only=False)
    assert row[-1][0].strip() == words
