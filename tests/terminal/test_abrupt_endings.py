"""Endings too early, or in the middle of drawing: the status is right, and all is saved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from patience import moments
from slow_cases import slowly
from terminal_harness import (
    LONG,
    PROGRAM,
    Terminal,
    assert_saved_at_the_end,
    assert_terminal_restored,
    make_environment,
    make_words,
)

from tui.terminal.entrance import SERVED_BY

pytestmark = pytest.mark.terminal

TIMES = 2
TAKEN_OVER = b"\x1b[?1049h"


# --- C3: within a second of the start -------------------------------------------------------------


def starts(home: Path) -> dict[str, list[str]]:
    checkpoint = max((home / "runs" / "before").glob("step-*.safetensors"))
    return {
        "watch": ["watch", "before"],
        "checkpoint": ["--checkpoint", str(checkpoint)],
        "plain": ["words.txt", *LONG],
    }


@pytest.mark.parametrize("ending", ["q", "SIGTERM", "SIGHUP", "typed ahead"])
@pytest.mark.parametrize("start", ["watch", "checkpoint", "plain"])
def test_an_end_right_after_the_start_is_no_defect(
    trained_home: Path, start: str, ending: str
) -> None:
    for time in range(TIMES):
        with Terminal(
            [PROGRAM, *starts(trained_home)[start]],
            environment=make_environment(trained_home),
            folder=trained_home,
        ) as app:
            keys = "qq" if start == "plain" else "q"
            if ending == "typed ahead":
                app.send(keys)
            else:
                app.wait_for(lambda app=app: TAKEN_OVER in app.raw, why="the screen")  # type: ignore[misc]
                if time:  # a little later
                    app.wait_for_text("charlm-tui")
            if ending == "q":
                app.send(keys)
            elif ending != "typed ahead":
                app.process.send_signal(signal.Signals[ending])
            status = app.wait_for_exit()
            assert "defect" not in app.plain
            assert status == (128 + signal.Signals[ending] if "SIG" in ending else 0)
            assert_terminal_restored(app)


# --- B5: whatever ends the screen -----------------------------------------------------------------

RAISES = """
import errno, sys, time
from model.events import StepFinished
from tui.app import app
from tui.cli import main

def run(self, **_):
    self.session.start()
    while not any(isinstance(event, StepFinished) for event in self.session.poll()):
        time.sleep(0.01)
    raise {error}

app.CharlmApp.run = run
sys.argv[0] = "charlm-tui"
main.main()
"""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("OSError(errno.EIO, 'gone')", 128 + signal.SIGHUP),
        ("RuntimeError('a mistake')", 1),
        pytest.param(
            "BrokenPipeError(errno.EPIPE, 'gone')", 128 + signal.SIGHUP, marks=pytest.mark.slow
        ),
        pytest.param("OSError(errno.ENOSPC, 'full')", 5, marks=pytest.mark.slow),
    ],
)
def test_an_error_out_of_the_screen_saves(tmp_path: Path, error: str, status: int) -> None:
    (tmp_path / "words.txt").write_text(make_words(), encoding="utf-8")
    with Terminal(
        [sys.executable, "-c", RAISES.format(error=error), "words.txt", *LONG],
        environment=make_environment(tmp_path),
        folder=tmp_path,
    ) as app:
        assert app.wait_for_exit() == status
        assert_saved_at_the_end(tmp_path / "runs", at_least=1)
        assert "Traceback" not in app.plain


@pytest.mark.parametrize("gone", slowly(["output", "both"]))
def test_a_page_whose_server_was_killed_saves(tmp_path: Path, gone: str) -> None:
    (tmp_path / "words.txt").write_text(make_words(), encoding="utf-8")
    environment = make_environment(tmp_path, **{SERVED_BY: str(os.getpid())})
    with subprocess.Popen(
        [PROGRAM, "words.txt", *LONG],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=tmp_path,
    ) as page:
        assert page.stdin is not None
        assert page.stdout is not None
        os.set_blocking(page.stdout.fileno(), False)
        for _ in moments("the first steps"):
            page.stdout.read(1 << 16)
            if any('"step"' in text for text in told(tmp_path)):
                break
        page.stdout.close()
        if gone == "both":
            page.stdin.close()
        for _ in moments("the end"):
            if page.poll() is not None:
                break
    assert page.returncode == 128 + signal.SIGHUP
    assert_saved_at_the_end(tmp_path / "runs", at_least=1)


def told(home: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in home.glob("runs/*/metrics.jsonl")]
