"""A network that is no LSTM in a real terminal: it trains, writes and saves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from terminal_harness import STEP, Terminal, assert_terminal_restored

from model.config import NETWORKS
from model.runs.folder import RunFolder

pytestmark = pytest.mark.terminal

OpenApp = Callable[..., Terminal]
SMALL = ("--hidden", "8", "--batch", "8", "--sequence", "16", "--epochs", "100000")


@pytest.mark.parametrize("network", [kind for kind in NETWORKS if kind != "lstm"])
def test_it_trains_writes_and_is_saved(network: str, open_app: OpenApp, tmp_path: Path) -> None:
    title = NETWORKS[network].title
    app = open_app("words.txt", "--network", network, "--run", "other", *SMALL)
    app.wait_for_text("TRAINING", f"{title} 1x8", f"{title}(8)")
    app.wait_for(lambda: app.number(r"([\d,]+) characters ·") > 20, why="text")
    app.wait_for(lambda: app.number(STEP) > 20, why="steps")
    app.send("q")
    app.wait_for_text("Save and stop")
    app.send("s")
    assert app.wait_for_exit() == 0
    assert_terminal_restored(app)
    saved = RunFolder(tmp_path / "runs" / "other").checkpoints.load_latest(pytest.fail)
    assert saved.metadata.model.network == network
