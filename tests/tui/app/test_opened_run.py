"""What the screen says of weights that were opened to write from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from app_opened import opened
from app_script import finished, on_a_loop, prepared, training
from hypothesis import given
from hypothesis import strategies as st
from model_fixtures import make_checkpoint
from patience import wait_until
from rich.cells import cell_len

from model import events as ev
from model.config import SamplingConfig
from model.runs.checkpoint_file import write_checkpoint
from model.session.live import LiveSession, SavedWeights
from tui.view.fold import fold
from tui.view.state import ViewState
from tui.widgets.painted import Painted, row_width, sentence_rows
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
    whole = "━━━━ Weights of step 3,248, val 1.245 best run completed at step 8,814"
    assert row(WEIGHTS, 80) == whole
    assert row(WEIGHTS, 40) == "━━━━ Step 3,248, val 1.245 best"
    bare = replace(WEIGHTS, nats_per_character=None, best=False, run_ended=None)
    assert row(bare, 80, ascii_only=True) == "#### Weights of step 3,248 run is at step 8,814"


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
        assert "Weights of step 3,248" in screen.progress.plain
        assert "saved     step 3,248" in screen.run_pane.plain


# --- panes without figures ------------------------------------------------------------------------

ENDED = ev.TrainingStateChanged(state="finished")
ALONE = (replace(WEIGHTS, last_step=3_248, run_ended=None), ENDED)
"""Weights without a record of their run, as ``export`` writes them."""
NOTHING_COMES: dict[str, tuple[tuple[ev.Event, ...], bool]] = {
    "an exported file": (ALONE, False),
    "a watched run that has ended": (
        (ev.RunWatched(run="a", is_trained=False, process=None, host=None), ENDED),
        False,
    ),
    "a training that ended at once": (finished(), True),
    "a training that crashed": (
        (ev.WorkerCrashed(worker="trainer", sentence="it broke", traceback=""),),
        True,
    ),
}
PROMISES = ("appear", "not yet", " yet", "after each epoch")


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("case", NOTHING_COMES)
@on_a_loop
async def test_nothing_is_promised_that_never_comes(case: str, ascii_only: bool) -> None:
    events, trains = NOTHING_COMES[case]
    async with opened(*events, trains=trains, ascii=ascii_only, size=(120, 40)) as it:
        await it.press("5")
        it.app.draw_all()
        await it.pilot.pause()
        screen = it.app.main_screen
        chart = "\n".join(widget.plain for widget in screen.chart.query(Painted))
        words = "\n".join((chart, screen.growth.plain, screen.run_pane.plain))
        assert "no curve" in words.replace("\n", " ")
        assert "no samples" in " ".join(words.split())
        for key in ("f", "g"):
            it.app.clear_notifications()
            await it.press(key)
            words += "".join(it.toasts())
        assert not [promise for promise in PROMISES if promise in words], words


@on_a_loop
async def test_what_can_still_come_is_promised() -> None:
    watched = ev.RunWatched(run="a", is_trained=True, process=1, host="box")
    for trains, events in ((True, prepared()), (False, (watched,))):
        async with opened(*events, trains=trains, size=(120, 40)) as it:
            await it.press("5")
            it.app.draw_all()
            await it.pilot.pause()
            chart = it.app.main_screen.chart.query_one("#chart-words", Painted)
            assert "appears with the first steps" in " ".join(chart.plain.split())
            assert "they appear here" in " ".join(it.app.main_screen.growth.plain.split())


@on_a_loop
async def test_a_file_alone_shows_what_it_knows_and_no_dashes() -> None:
    async with opened(*ALONE, trains=False) as it:
        it.app.draw_all()
        figures = it.app.main_screen.run_pane.plain
        assert "val       1.245 best" in figures
        assert "bits/char 1.80" in figures
        rows = [row for row in figures.splitlines() if not row.startswith(("machine", "surprise"))]
        assert not [row for row in rows if row.rstrip().endswith(" -")]
        assert "run is at step" not in it.app.main_screen.progress.plain


@given(words=st.text("ab 漢é", max_size=200), width=st.integers(2, 60))
def test_a_sentence_is_wrapped_at_words(words: str, width: int) -> None:
    rows = sentence_rows(words, width)
    assert all(row_width(row) <= width for row in rows)
    shown = [word for row in rows for text, _ in row for word in text.split()]
    if all(cell_len(word) <= width for word in words.split()):
        assert shown == words.split()
    assert "".join(shown) == "".join(words.split())
