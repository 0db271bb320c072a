"""The lesson as its user meets it in a real terminal: the command, a language, another text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from terminal_harness import LONG, Terminal, assert_terminal_restored

from model.runs.folder import RunFolder
from tui.lesson.excerpt_name import EXCERPT_NAME

pytestmark = pytest.mark.terminal

OpenApp = Callable[..., Terminal]


def test_the_lesson_leads_to_the_short_text_and_back_in_the_language_of_the_locale(
    open_app: OpenApp, tmp_path: Path
) -> None:
    app = open_app("lesson", "words.txt", *LONG, LC_ALL="", LC_CTYPE="C.UTF-8", LANG="pt_BR.UTF-8")
    app.wait_for_text("Aula 1/10", "TRAINING")
    for number in range(2, 9):
        app.send("\r")
        app.wait_for_text("de novo pula")
        app.send("\r")
        app.wait_for_text(f"Aula {number}/10")
    app.send("O")
    app.wait_for_text(EXCERPT_NAME, "✓ Aperte O", "TRAINING")
    app.send("O")
    app.wait_for_text("words.txt", "Aula 8/10", "TRAINING")
    app.send("S")
    app.wait_for(lambda: "Aula" not in app.text, why="the lesson to close")
    app.send("q")
    app.wait_for_text("Save and stop")
    app.send("s")
    assert app.wait_for_exit() == 0
    assert_terminal_restored(app)
    assert len(RunFolder.all(tmp_path / "runs")) == 2, "each text has one run"
