"""What ``train`` prints where no terminal is."""

from __future__ import annotations

import io

import pytest

from model.events import Finished, Preparing, WarningRaised
from model.events.recorded import STUDENT_BEGINS
from tui.console.reporters import LineReporter, sentence


def test_a_stage_is_told_when_it_begins_and_every_ten_seconds() -> None:
    output = io.StringIO()
    now = 0.0
    reporter = LineReporter(output, clock=lambda: now)
    reporter.show(Preparing(stage="reading the text"))
    for tenth in range(0, 250, 2):
        now = tenth / 10
        reporter.show(Preparing(stage="encoding the text", fraction=tenth / 250))
    reporter.show(Preparing(stage="importing torch"))
    assert output.getvalue().splitlines() == [
        "reading the text ...",
        "encoding the text ... 0%",
        "encoding the text ... 40%",
        "encoding the text ... 80%",
        "importing torch ...",
    ]


@pytest.mark.parametrize(("rate", "ending"), [(144_018.2, ", 144,018 characters/s"), (0.0, "")])
def test_a_run_that_had_reached_its_end_has_no_speed(rate: float, ending: str) -> None:
    finished = Finished(
        time=30.0,
        reason="completed",
        step=1891,
        best_nats_per_character=1.25,
        best_bits_per_character=1.803,
        seconds=30.0,
        characters_per_second=rate,
    )
    expected = "completed after step 1,891 and 30 s: best validation 1.2500 nats" + ending
    assert sentence(finished) == expected


def test_the_beginning_of_a_student_is_news_and_no_warning() -> None:
    assert sentence(WarningRaised(time=1.0, text=STUDENT_BEGINS)) == STUDENT_BEGINS
    other = WarningRaised(time=1.0, text="the disk is full")
    assert sentence(other) == "warning: the disk is full"
