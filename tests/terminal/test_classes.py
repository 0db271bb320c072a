"""What docs/tmux.md says of a class: one screen for all, or a watcher for each."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from patience import PATIENCE, wait_until
from terminal_harness import (
    LONG,
    PROGRAM,
    STEP,
    Terminal,
    assert_saved_at_the_end,
    checkpoint_steps,
    make_environment,
    make_words,
)
from tmux_server import Tmux

pytestmark = pytest.mark.terminal


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "words.txt").write_text(make_words(), encoding="utf-8")
    return tmp_path


@pytest.fixture
def trained(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A training without a screen, of the run `novel`, that has saved."""
    training = subprocess.Popen(
        [PROGRAM, "train", "words.txt", "--run", "novel", *LONG],
        env=make_environment(home),
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: checkpoint_steps(home / "runs"), "a checkpoint")
        yield training
    finally:
        training.kill()
        training.wait(PATIENCE)


def has_more_steps(watcher: Terminal, before: int) -> bool:
    return watcher.number(STEP) > before


def test_a_read_only_client_sees_the_app_and_its_keys_do_nothing(tmux: Tmux, home: Path) -> None:
    app = shlex.join([PROGRAM, "words.txt", *LONG])
    tmux("new-session", "-d", "-x", "80", "-y", "24", f"cd {shlex.quote(str(home))} && {app}")
    tmux("set-option", "-g", "assume-paste-time", "0")  # the keys below are typed, not pasted
    tmux.wait_for("TRAINING", "temperature 0.70")
    client = tmux.command("attach", "-r")
    with Terminal(client, environment=make_environment(home), folder=home) as spectator:
        spectator.wait_for_text("TRAINING", "temperature 0.70")
        # tmux reads the client's keys in their order: after it has left, the others were read.
        spectator.send("-\x02d")
        assert spectator.wait_for_exit() == 0
    tmux("send-keys", "+")
    tmux.wait_for("TRAINING", "temperature 0.75")


def test_two_watchers_of_one_run_choose_for_themselves_and_leave_it_as_it_is(
    trained: subprocess.Popen[bytes], home: Path
) -> None:
    described = (home / "runs" / "novel" / "run.json").read_bytes()
    with ExitStack() as terminals:
        first, second = (
            terminals.enter_context(
                Terminal(
                    [PROGRAM, "watch", "novel"], environment=make_environment(home), folder=home
                )
            )
            for _ in range(2)
        )
        for watcher in (first, second):
            watcher.wait_for_text("WATCHING", "temperature 0.70")
        first.send("+")
        first.wait_for_text("temperature 0.75")
        second.send("-")
        second.wait_for_text("temperature 0.65")
        first.send("+")
        first.wait_for_text("temperature 0.80")
        for watcher in (first, second):
            step = watcher.number(STEP)
            watcher.wait_for(partial(has_more_steps, watcher, step), why="more steps")
            watcher.send("p")
            watcher.wait_for_text("trains this run, and you watch it")
            watcher.send("q")
            assert watcher.wait_for_exit() == 0
    assert trained.poll() is None
    assert (home / "runs" / "novel" / "run.json").read_bytes() == described
    trained.send_signal(signal.SIGTERM)
    assert trained.wait(PATIENCE) == 128 + signal.SIGTERM
    assert_saved_at_the_end(home / "runs", at_least=1)
