"""What ``train`` prints where no terminal is."""

from __future__ import annotations

import io

from model.events import Preparing
from tui.console.reporters import LineReporter


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
