"""A duel as its user plays it: in a terminal, while a network learns."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import PATIENCE
from terminal_harness import LONG, PROGRAM, Terminal, make_environment

pytestmark = pytest.mark.terminal


def test_a_duel_is_played_and_its_score_is_listed(
    open_app: Callable[..., Terminal], tmp_path: Path
) -> None:
    app = open_app("words.txt", "--run", "played", *LONG)
    app.wait_for_text("TRAINING")
    app.send("Y")
    app.wait_for_text("You against the model", "Type the")
    app.send("\t\t")
    app.wait_for_text("gave up", "bounds", "2 letters, 2 given up", "exactly")
    app.send("\x1b")
    app.wait_for(lambda: "You against" not in app.text, why="the dialog to close")
    app.wait_for_text("(bounds), the model")
    app.send("qs")
    assert app.wait_for_exit() == 0
    printed = subprocess.run(
        [PROGRAM, "runs", "--json"],
        env=make_environment(tmp_path),
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    ).stdout
    duel = json.loads(printed)["duel"]
    assert (duel["letters"], duel["given_up"]) == (2, 2)
    assert 0 <= duel["human_bits_lower_bound"] <= duel["human_bits_upper_bound"]
    assert duel["model_bits_per_character"] > 0
