"""Help, version, completion, and output that nobody reads."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from patience import PATIENCE
from terminal_harness import PROGRAM, make_environment
from trained_home import Trained, charlm

pytestmark = pytest.mark.terminal


def test_the_program_says_its_version(home: Path) -> None:
    done = charlm(home, "--version")
    assert done.status == 0
    assert re.fullmatch(r"charlm-tui, version \d+\.\d+\.\d+\n", done.output)


def test_every_command_has_help(home: Path) -> None:
    page = charlm(home, "--help")
    assert page.status == 0
    commands = re.findall(r"^  ([a-z]+)  ", page.output.partition("Commands:\n")[2], re.MULTILINE)
    assert {"train", "generate", "evaluate", "runs", "corpora"} <= set(commands)
    for command in commands:
        done = charlm(home, command, "--help")
        assert (done.status, done.complaint) == (0, "")
        assert done.output.startswith("Usage: charlm-tui ")
        assert command in done.output
        assert len(max(done.output.splitlines(), key=len)) <= 100


def test_debug_shows_the_traceback_above_the_line(home: Path) -> None:
    done = charlm(home, "train", "nosuchfile", "--debug")
    assert done.status == 3
    assert "Traceback" in done.complaint
    assert done.complaint.splitlines()[-1].startswith("charlm-tui: nosuchfile")


def test_the_completion_script_is_one_that_bash_accepts(home: Path) -> None:
    script = charlm(home, "--completion", "bash")
    assert script.status == 0
    assert "_CHARLM_TUI_COMPLETE" in script.output
    subprocess.run(["bash", "-n"], input=script.output, text=True, check=True, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("charlm-tui tr", "train"),
        ("charlm-tui --temp", "--temperature"),
        ("charlm-tui words.txt --hid", "--hidden"),
        ("charlm-tui generate --le", "--length"),
    ],
)
def test_completion_offers_commands_and_options(home: Path, words: str, expected: str) -> None:
    done = charlm(
        home,
        _CHARLM_TUI_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(words.count(" ")),
    )
    assert done.status == 0
    assert expected in [line.partition(",")[2] for line in done.output.splitlines()]


def test_an_output_closed_from_the_start_is_no_error(trained: Trained) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$0" generate <&- >&- && "$0" runs --json >&- && "$0" corpora >&-', PROGRAM],
        capture_output=True,
        text=True,
        env=make_environment(trained.home),
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "400 characters" in done.stderr
