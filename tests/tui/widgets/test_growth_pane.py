"""The head of the pane of samples, on every width."""

from __future__ import annotations

import pytest

from model.events import SampleRecorded
from tui.view.curve import Curve
from tui.view.state import Losses, ViewState
from tui.widgets.growth_pane import head_row
from tui.widgets.painted import row_width

SAMPLE = SampleRecorded(time=9.0, step=7, epoch=1200, temperature=0.5, seed=1, prompt="a", text="b")
STATE = ViewState(losses=Losses(validation_curve=Curve().add(1, 1.597)))


@pytest.mark.parametrize("epochs", [[1], [1, 1200], list(range(1, 1201))])
@pytest.mark.parametrize("width", [28, 36, 40, 60, 120])
def test_the_loss_is_shown_whole_or_not_at_all(epochs: list[int], width: int) -> None:
    row = head_row(STATE, SAMPLE, [*epochs[:-1], SAMPLE.epoch], width, ascii_only=True)
    words = "".join(text for text, _ in row)
    assert f"epoch {SAMPLE.epoch} of {SAMPLE.epoch} " in words
    assert "T 0.50" in words
    assert ("val" in words) == ("val 1.597" in words)
    if width >= 36:
        assert row_width(row) <= width
    assert "val" in words or width < 60
