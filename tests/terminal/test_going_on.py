"""Training that outlives its terminal, and the terminal that outlives a stop."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import PATIENCE, moments
from slow_cases import slowly
from terminal_harness import (
    LONG,
    STEP,
    TINY,
    Terminal,
    assert_saved_at_the_end,
    assert_terminal_restored,
    checkpoint_steps,
    last_event,
    processor_seconds,
    wait_for_steps,
)

from model.runs.folder import RunFolder

pytestmark = pytest.mark.terminal

OpenApp = Callable[..., Terminal]
CHARACTERS = r"([\d,]+) characters ·"


def read_log(runs: Path) -> str:
    found = list(runs.glob("*/train.log"))
    return found[0].read_text(encoding="utf-8") if found else ""


def wait_for_log(app: Terminal, runs: Path, *words: str) -> None:
    for _ in moments():
        assert app.process.poll() is None, read_log(runs)
        if all(word in read_log(runs) for word in words):
            return


@pytest.mark.parametrize("how", slowly(["--on-hangup", "nohup"]))
def test_training_goes_on_without_a_terminal_and_saves_on_term(
    open_app: OpenApp, tmp_path: Path, how: str
) -> None:
    runs = tmp_path / "runs"
    arguments = ("--on-hangup", "continue") if how == "--on-hangup" else ()
    ignored = () if how == "--on-hangup" else (signal.SIGHUP,)
    app = open_app("words.txt", *LONG, "--checkpoint-every", "1", *arguments, ignored=ignored)
    step = wait_for_steps(app)
    app.hang_up()
    wait_for_log(app, runs, f"process {app.process.pid} goes on", "saved ", "validation")
    app.process.send_signal(signal.SIGHUP)  # old news
    saved = max(checkpoint_steps(runs))
    for _ in moments():
        if max(checkpoint_steps(runs)) > max(saved, step):
            break
    app.process.send_signal(signal.SIGTERM)
    assert app.process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert_saved_at_the_end(runs, at_least=step)
    assert "stopped after step" in read_log(runs)
    assert "Traceback" not in read_log(runs)


def test_training_without_a_terminal_comes_to_its_own_end(
    open_app: OpenApp, tmp_path: Path
) -> None:
    app = open_app("words.txt", *TINY, "--minutes", "0.05", "--on-hangup", "continue")
    app.wait_for_text("TRAINING")
    app.hang_up()
    assert app.process.wait(PATIENCE) == 0
    folder = RunFolder.find(tmp_path / "runs", None)
    assert last_event(folder)["reason"] == "completed"
    assert "completed after step" in read_log(tmp_path / "runs")


def test_a_pause_ends_with_the_screen(open_app: OpenApp, tmp_path: Path) -> None:
    app = open_app("words.txt", *LONG, "--on-hangup", "continue", "--checkpoint-every", "1")
    wait_for_steps(app)
    app.send("p")
    app.wait_for_text("PAUSED")
    app.wait_for(lambda: app.number(STEP) > 0, why="the step")
    paused = app.number(STEP)
    app.hang_up()
    for _ in moments():
        if max(checkpoint_steps(tmp_path / "runs"), default=0) > paused:
            break
    app.process.send_signal(signal.SIGINT)
    assert app.process.wait(PATIENCE) == 128 + signal.SIGINT


def test_a_hang_up_gives_a_living_terminal_back_and_training_goes_on(
    open_app: OpenApp, tmp_path: Path
) -> None:
    app = open_app("words.txt", *LONG, "--on-hangup", "continue")
    step = wait_for_steps(app)
    app.process.send_signal(signal.SIGHUP)
    app.wait_for_text("goes on without a screen", f"process {app.process.pid}", "train.log")
    assert_terminal_restored(app)
    app.process.send_signal(signal.SIGTERM)
    assert app.process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert_saved_at_the_end(tmp_path / "runs", at_least=step)


def test_saving_wins_over_an_ignored_signal_when_it_is_asked_for(
    open_app: OpenApp, tmp_path: Path
) -> None:
    app = open_app("words.txt", *LONG, "--on-hangup", "save", ignored=(signal.SIGHUP,))
    step = wait_for_steps(app)
    app.hang_up()
    assert app.process.wait(PATIENCE) == 128 + signal.SIGHUP
    assert_saved_at_the_end(tmp_path / "runs", at_least=step)
    assert read_log(tmp_path / "runs") == ""


def test_nothing_to_train_ends_with_its_terminal(open_app: OpenApp, trained_home: Path) -> None:
    path = next((trained_home / "runs").glob("*/step-*.safetensors"))
    app = open_app("--checkpoint", str(path), "--on-hangup", "continue")
    app.wait_for(lambda: app.number(CHARACTERS) > 0, why="text")
    app.hang_up()
    assert app.process.wait(PATIENCE) == 128 + signal.SIGHUP


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads' time in /proc")
def test_a_terminal_that_is_gone_costs_no_processor_time(
    open_app: OpenApp, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Plain Textual reads the end of input for ever, at more than 100 % of a core."""
    app = open_app("words.txt", *LONG, "--on-hangup", "continue")
    wait_for_steps(app)
    app.hang_up()
    wait_for_log(app, tmp_path / "runs", "goes on")
    before = processor_seconds(app.process.pid)
    for _ in moments():
        now = processor_seconds(app.process.pid)
        used = sorted(now[thread] - before.get(thread, 0.0) for thread in now)
        if used[-1] >= 2.0:  # the trainer's
            break
    beyond = sum(used[:-1]) / used[-1]
    record_property("share of the trainer's time used by all other threads", f"{beyond:.3f}")
    assert beyond < 0.1


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no job control here")
def test_a_stop_that_nobody_hears_coming_does_not_spoil_the_terminal(
    open_app: OpenApp, tmp_path: Path
) -> None:
    """SIGSTOP and SIGCONT: the mode that was kept must be the shell's, not the app's own."""
    app = open_app("words.txt", *LONG)
    step = wait_for_steps(app)
    for _ in range(3):
        app.process.send_signal(signal.SIGSTOP)
        os.waitpid(app.process.pid, os.WUNTRACED)
        app.take_rest()
        app.process.send_signal(signal.SIGCONT)
        app.screen.reset()
        app.wait_for_text("TRAINING", "Writing")
    app.send("q")
    app.wait_for_text("Save and stop")
    app.send("s")
    assert app.wait_for_exit() == 0
    assert_terminal_restored(app)
    assert_saved_at_the_end(tmp_path / "runs", at_least=step)


def is_stopped(process_id: int) -> bool:
    """Whether the system has stopped a process: a SIGCONT before that would be lost on it."""
    command = ["ps", "-o", "state=", "-p", str(process_id)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip().startswith("T")


@pytest.mark.skipif(not hasattr(signal, "SIGTSTP"), reason="no job control here")
@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed")
def test_a_suspended_app_gives_the_terminal_back_and_comes_again(
    open_app: OpenApp, tmp_path: Path
) -> None:
    app = open_app("words.txt", *LONG)
    step = wait_for_steps(app)
    app.process.send_signal(signal.SIGTSTP)
    app.wait_for(lambda: app.mode == app.mode_before, why="the shell's mode")
    app.wait_for(lambda: is_stopped(app.process.pid), why="the process to stop")
    app.take_rest()
    assert_terminal_restored(app)
    app.process.send_signal(signal.SIGCONT)
    app.wait_for(lambda: app.mode != app.mode_before, why="the app's mode")
    app.wait_for_text("TRAINING", "Writing")
    app.wait_for(lambda: app.number(STEP) > step, why="more steps")
    app.process.send_signal(signal.SIGTERM)
    assert app.wait_for_exit() == 128 + signal.SIGTERM
    assert_terminal_restored(app)
