"""What the screen says of weights that were opened to write from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from app_opened import opened
from app_script import on_a_loop, training
from model_fixtures import make_checkpoint
from patience import wait_until

from model import events as ev
from model.config import SamplingConfig
from model.runs.checkpoint_file import write_checkpoint
from model.session.live import LiveSession, SavedWeights
from tui.view.fold import fold
from tui.view.state import ViewState
from tui.widgets.progress_row import progress_row

WEIGHTS = ev.WeightsOpened(
    step=3_248, nats_per_character=1.2449, best=True, last_step=8_814, run_ended="completed"
)


def row(weights: ev.WeightsOpened, width: int, *, ascii_only: bool = False) -> str:
    state = ViewState(training="finished", opened=weights)
    parts = progress_row(state, 0.0, width, ascii_only=ascii_only)
    text = "".join(text for text, _ in parts)
    assert len(text) == width
    return " ".join(text.split())


def test_the_progress_row_says_which_weights_write() -> None:
    whole = "━━━━ Weights of step 3 248, val 1.245 best run completed at step 8 814"
    assert row(WEIGHTS, 80) == whole
    assert row(WEIGHTS, 40) == "━━━━ Step 3 248, val 1.245 best"
    bare = replace(WEIGHTS, nats_per_character=None, best=False, run_ended=None)
    assert row(bare, 80, ascii_only=True) == "#### Weights of step 3 248 run is at step 8 814"


@pytest.mark.parametrize("width", [1, 8, 20])
def test_it_takes_any_width(width: int) -> None:
    row(WEIGHTS, width)


def test_the_step_is_that_of_the_weights_and_not_the_last_one_in_the_file(tmp_path: Path) -> None:
    """A run's file holds ten steps a second; a short run ends between two of them."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    path = folder / "step-00000145.safetensors"
    write_checkpoint(path, make_checkpoint(step=145))
    step = {"event": "step", "time": 0.1, "step": 1, "epoch": 1, "loss": 2.5}
    figures = {"learning_rate": 1e-3, "gradient_norm": 1.0, "characters_per_second": 100.0}
    (folder / "metrics.jsonl").write_text(json.dumps({**step, **figures}) + "\n", encoding="utf-8")
    session = LiveSession(SavedWeights(path=path), sampling=SamplingConfig(), rate=10.0)
    state = ViewState()
    session.start()

    def is_open() -> bool:
        nonlocal state
        state = fold(state, session.poll(), 0.0)
        return state.opened is not None

    wait_until(is_open)
    assert session.close()
    assert state.progress.step == 145
    assert state.losses.loss == 2.5


@on_a_loop
async def test_an_opened_run_is_called_so_everywhere() -> None:
    async with opened(*training(), WEIGHTS, ev.TrainingStateChanged(state="finished")) as it:
        it.app.draw_all()
        screen = it.app.main_screen
        assert "✓ OPENED" in screen.header.plain
        assert "Weights of step 3 248" in screen.progress.plain
        assert "saved     step 3 248" in screen.run_pane.plain
