"""What is left when a program is ended from outside: a checkpoint, a usable shell, a status."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import PATIENCE
from slow_cases import slowly
from terminal_harness import (
    ENDING_SIGNALS,
    LONG,
    PROGRAM,
    RARE_SIGNALS,
    Terminal,
    assert_saved_at_the_end,
    assert_terminal_restored,
    checkpoint_steps,
    last_event,
    make_environment,
    make_words,
    name_of,
    wait_for_steps,
)
from trained_home import training

from model.runs.folder import RunFolder

pytestmark = pytest.mark.terminal

OpenApp = Callable[..., Terminal]
"""Half a second is usual; what is promised is counted in ``test_endings``."""


# --- the app --------------------------------------------------------------------------------------


def test_a_second_signal_does_not_stop_the_saving(open_app: OpenApp, tmp_path: Path) -> None:
    app = open_app("words.txt", *LONG)
    step = wait_for_steps(app)
    app.process.send_signal(signal.SIGTERM)
    app.process.send_signal(signal.SIGHUP)
    app.process.send_signal(signal.SIGINT)
    assert app.wait_for_exit() > 128
    assert_saved_at_the_end(tmp_path / "runs", at_least=step)


def test_a_signal_before_the_first_step_ends_the_app_too(open_app: OpenApp, tmp_path: Path) -> None:
    app = open_app("words.txt", *LONG)
    app.wait_for_text("PREPARING")
    app.process.send_signal(signal.SIGTERM)
    # An import of torch that has begun comes to its end first.
    assert app.wait_for_exit() == 128 + signal.SIGTERM
    assert_terminal_restored(app)
    assert "Traceback" not in app.plain


def test_a_signal_while_training_is_paused_saves(open_app: OpenApp, tmp_path: Path) -> None:
    app = open_app("words.txt", *LONG)
    step = wait_for_steps(app)
    app.send("p")
    app.wait_for_text("PAUSED")
    app.process.send_signal(signal.SIGTERM)
    assert app.wait_for_exit() == 128 + signal.SIGTERM
    assert_saved_at_the_end(tmp_path / "runs", at_least=step)


# --- train ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [*ENDING_SIGNALS, *slowly(RARE_SIGNALS)], ids=name_of)
def test_train_saves_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "words.txt").write_text(make_words(), encoding="utf-8")
    with training(tmp_path, *LONG) as process:
        assert process.stdout is not None
        events = (json.loads(line) for line in process.stdout)
        step = next(event["step"] for event in events if event["event"] == "step")
        process.send_signal(number)
        rest, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert complaints == ""
    assert_saved_at_the_end(tmp_path / "runs", at_least=step)
    assert json.loads(rest.splitlines()[-1]) == last_event(RunFolder.find(tmp_path / "runs", None))


def test_train_on_a_terminal_shows_a_bar_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text(make_words(), encoding="utf-8")
    with Terminal(
        [PROGRAM, "train", "words.txt", *LONG],
        environment=make_environment(tmp_path),
        folder=tmp_path,
    ) as terminal:
        terminal.wait_for_text("epoch", "characters/s", "%")
        terminal.wait_for(lambda: checkpoint_steps(tmp_path / "runs"), why="a checkpoint")
        terminal.send("\x03")
        assert terminal.wait_for_exit() == 128 + signal.SIGINT
        assert_saved_at_the_end(tmp_path / "runs", at_least=1)
        assert "stopped after step" in terminal.plain
        assert "Traceback" not in terminal.plain
        assert bytes(terminal.raw).rfind(b"\x1b[?25h") > bytes(terminal.raw).rfind(b"\x1b[?25l")
        assert terminal.mode == terminal.mode_before


@pytest.mark.parametrize("ignored", [(), (signal.SIGHUP,)], ids=["plain", "nohup"])
def test_train_saves_when_its_terminal_goes_away(tmp_path: Path, ignored: tuple[int, ...]) -> None:
    (tmp_path / "words.txt").write_text(make_words(40_000), encoding="utf-8")
    with Terminal(
        [PROGRAM, "train", "words.txt", *LONG],
        environment=make_environment(tmp_path),
        folder=tmp_path,
        ignored_signals=ignored,
    ) as terminal:
        terminal.wait_for_text("epoch", "characters/s")
        terminal.hang_up()
        # Without the signal it is a disk of which nothing can be said but that it refuses.
        assert terminal.wait_for_exit() == (5 if ignored else 128 + signal.SIGHUP)
        assert_saved_at_the_end(tmp_path / "runs", at_least=1)


# --- no terminal ----------------------------------------------------------------------------------


def test_the_app_without_a_keyboard_names_train(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text(make_words(), encoding="utf-8")
    done = subprocess.run(
        [PROGRAM, "words.txt"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=make_environment(tmp_path),
        cwd=tmp_path,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "charlm-tui train" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["dumb", ""])
def test_a_terminal_without_a_cursor_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "words.txt").write_text(make_words(), encoding="utf-8")
    with Terminal(
        [PROGRAM, "words.txt"],
        environment=make_environment(tmp_path, TERM=name),
        folder=tmp_path,
    ) as terminal:
        assert terminal.wait_for_exit() == 2
        assert "charlm-tui train" in " ".join(terminal.plain.split())
        assert b"\x1b" not in terminal.raw
        assert not (tmp_path / "runs").exists()
