"""Constraints in a real terminal: set by a key while the text streams, and shown on the edge."""

from __future__ import annotations

from pathlib import Path

import pytest
from terminal_harness import PROGRAM, Terminal, assert_terminal_restored, make_environment
from two_authors import write_authors

pytestmark = pytest.mark.terminal


def test_c_opens_the_dialog_and_the_edge_shows_drafts_and_cost(tmp_path: Path) -> None:
    first, _ = write_authors(tmp_path / "runs")
    command = [PROGRAM, "--checkpoint", str(first), "--forbid", "d", "--rate", "200"]
    with Terminal(command, environment=make_environment(tmp_path), folder=tmp_path) as terminal:
        terminal.wait_for_text("no d +")
        terminal.send("C")
        terminal.wait_for_text("Only letters", "Line length")
        terminal.send("\x1b[B\x1b[B\x1b[B40-2\r")
        terminal.wait_for_text("'40-2' is no range")
        terminal.send("\x7f\x7f\x7f\x7f1-9\r")
        terminal.wait_for_text("of 64 drafts")
        terminal.send("q")
        assert terminal.wait_for_exit() == 0
        assert_terminal_restored(terminal)
