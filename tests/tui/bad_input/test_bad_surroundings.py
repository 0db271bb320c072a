"""Terminals, clocks and machines that are not as they should be (E1 to E10, E14 to E16).

E7 and E9 (bytes typed, a connection cut), E6 (sizes) and E10 (a stalled terminal) are tried in
``tests/terminal``, where there is a terminal.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from app_opened import opened
from app_script import on_a_loop, training
from command_here import assert_one_line, charlm_here
from patience import PATIENCE
from terminal_harness import PROGRAM, Terminal, make_environment, make_words
from textual.events import Paste
from textual.widgets import Input

from model import events as ev
from tui.cli.main import APP, COMMANDS, run
from tui.screens.entry import MAX_ENTRY_CHARACTERS

WORDS = make_words(3000)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "words.txt").write_text(WORDS, encoding="utf-8")
    return tmp_path


def test_e1_without_a_keyboard_the_app_names_train(home: Path) -> None:
    assert_one_line(charlm_here(home, "words.txt"), 2, "needs a terminal", "charlm-tui train")
    assert not (home / "runs").exists()


@pytest.mark.terminal
def test_e2_with_stderr_in_a_file_the_app_names_train_and_writes_no_escape(home: Path) -> None:
    with Terminal(
        ["/bin/sh", "-c", '"$@" 2>errors', "sh", PROGRAM, "words.txt"],
        environment=make_environment(home),
        folder=home,
    ) as terminal:
        assert terminal.wait_for_exit() == 2
        said = (home / "errors").read_text(encoding="utf-8")
        assert said.count("\n") == 1
        assert "charlm-tui train" in said
        assert "\x1b" not in said
        assert b"\x1b" not in terminal.raw


@pytest.mark.terminal
@pytest.mark.parametrize("name", ["dumb", "", "unknown"])
def test_e3_a_terminal_without_a_cursor_is_refused(home: Path, name: str) -> None:
    with Terminal(
        [PROGRAM, "words.txt"], environment=make_environment(home, TERM=name), folder=home
    ) as terminal:
        assert terminal.wait_for_exit() == 2
        assert "charlm-tui train" in " ".join(terminal.plain.split())
        assert b"\x1b" not in terminal.raw


@pytest.mark.terminal
def test_e4_a_latin_1_terminal_gets_ascii_and_no_question_marks(home: Path) -> None:
    surroundings = make_environment(home, LC_ALL="C", PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    with Terminal([PROGRAM, "words.txt"], environment=surroundings, folder=home) as terminal:
        terminal.wait_for_text("charlm-tui", "Writing", "Quit")
        assert "╭" not in terminal.text
        assert "+-" in terminal.text
        terminal.process.terminate()
        terminal.wait_for_exit()


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (39, 10), (40, 9)], ids=str)
@on_a_loop
async def test_e5_a_terminal_too_small_says_so_and_training_goes_on(size: tuple[int, int]) -> None:
    async with opened(*training(3), size=size) as it:
        assert it.app.main_screen.too_small.display
        await it.say(*training(5))
        assert it.app.state.progress.step == 5


@on_a_loop
async def test_e8_a_long_paste_is_cut_at_the_limit() -> None:
    async with opened(*training(3)) as it:
        await it.press("i")
        field = it.app.screen.query_one(Input)
        it.app.post_message(Paste("x" * 200_000))
        await it.until(lambda: bool(field.value))
        assert len(field.value) == MAX_ENTRY_CHARACTERS
        await it.press("escape")


@on_a_loop
async def test_e14_a_clock_that_jumps_back_makes_no_figure_negative() -> None:
    async with opened(*training(5)) as it:
        it.app._clock = lambda: -1e9
        await it.say(
            ev.StepFinished(
                time=-5.0,
                step=6,
                epoch=1,
                loss=1.0,
                learning_rate=0.1,
                gradient_norm=1.0,
                characters_per_second=-4.0,
            ),
            ev.CheckpointSaved(time=-5.0, step=6, path="x", best=True),
        )
        it.app.draw_all()
        await it.pilot.pause()
        shown = it.app.main_screen.header.plain + it.app.main_screen.progress.plain
        assert "-1" not in shown


def test_e15_a_network_too_large_for_the_machine_is_refused_with_an_estimate(home: Path) -> None:
    outcome = charlm_here(
        home, "train", "words.txt", "--hidden", "16384", "--layers", "16", "--json"
    )
    assert_one_line(outcome, 2, "--hidden", "GB")


def test_e16_no_color_is_respected(home: Path) -> None:
    program = (
        "import asyncio, sys; sys.path.insert(0, sys.argv[1])\n"
        "from app_opened import opened\n"
        "from app_script import training\n"
        "async def main():\n"
        "    async with opened(*training(3)) as it:\n"
        "        print(it.app.no_color, *(type(each).__name__ for each in it.app._filters))\n"
        "asyncio.run(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parents[2] / "support")],
        env={**os.environ, "NO_COLOR": "1"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    no_color, *filters = done.stdout.split()
    assert no_color == "True"
    assert "NoColor" in filters
    assert "Monochrome" not in filters, "greys of the terminal's own colours are black on black"


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != APP] + [""])
def test_without_a_working_directory_every_command_says_so(home: Path, command: str) -> None:
    """C6: PyTorch's library for linear algebra would end the process, with status 2."""
    gone = home / "gone"
    gone.mkdir()
    before = Path.cwd()
    try:
        os.chdir(gone)
        gone.rmdir()
        words = [command, "x"] if command in {"export", "evaluate"} else [command] * bool(command)
        with contextlib.redirect_stderr(io.StringIO()) as complaint:
            assert run(words) == 5
    finally:
        os.chdir(before)
    assert complaint.getvalue() == (
        "charlm-tui: the working directory: no longer exists; change to one that exists\n"
    )
