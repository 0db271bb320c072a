"""Which lanes there are, what they are called, and which of them a width has room for."""

from __future__ import annotations

import pytest
from app_script import ladder_started, race_started

from tui.race.lanes import LineUp, name_of, present, that_fit

LADDER = ladder_started("").lanes
FOUR = race_started(0.2, 0.5, 1.0, 1.2, prompt="").lanes


def shown(columns: int, chosen: int = 3, line_up: LineUp = "ladder") -> list[str]:
    lanes = LADDER if line_up == "ladder" else FOUR
    numbers = that_fit(lanes, chosen, line_up, columns)
    return [name_of(lanes[number], line_up, "lstm") for number in numbers]


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (1, ["LSTM"]),
        (36, ["5-gram", "LSTM"]),
        (56, ["2-gram", "5-gram", "LSTM"]),
        (76, ["0-gram", "2-gram", "5-gram", "LSTM"]),
        (95, ["0-gram", "2-gram", "5-gram", "LSTM", "best"]),
        (116, ["0-gram", "2-gram", "5-gram", "LSTM", "best", "epoch 2"]),
    ],
)
def test_a_narrow_pane_keeps_the_network_and_the_longest_contexts(
    columns: int, names: list[str]
) -> None:
    assert shown(columns) == names


def test_the_chosen_lane_is_always_shown() -> None:
    assert shown(36, chosen=0) == ["0-gram", "LSTM"]
    assert shown(76, chosen=5) == ["2-gram", "5-gram", "LSTM", "epoch 2"]
    assert shown(36, chosen=3, line_up="temperatures") == ["T 0.20", "T 1.20"]


def test_weights_that_do_not_exist_are_no_lane_but_ngrams_are_awaited() -> None:
    lanes = ladder_started("", counted=False, kept=False).lanes
    assert [name_of(lanes[number], "ladder", "lstm") for number in present(lanes)] == [
        "0-gram", "2-gram", "5-gram", "LSTM",
    ]  # fmt: skip


def test_the_live_network_and_saved_runs_of_the_others_have_their_names() -> None:
    lanes = ladder_started("", kept=False, rivals=("lstm", "conv")).lanes
    numbers = that_fit(lanes, 3, "ladder", 56)
    assert [name_of(lanes[number], "ladder", "gru") for number in numbers] == [
        "GRU",
        "LSTM",
        "Conv",
    ]
