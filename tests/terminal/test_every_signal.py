"""Every signal that would end the app: it saves where anything of it still runs (C6).

docs/reliability.md has the table. All of them under ``make test-slow``.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from slow_cases import slowly
from terminal_harness import (
    LONG,
    RARE_SIGNALS,
    Terminal,
    assert_saved_at_the_end,
    assert_terminal_restored,
    name_of,
    wait_for_steps,
)

from tui.terminal.ending_signals import ending_signals

pytestmark = pytest.mark.terminal

OpenApp = Callable[..., Terminal]
FAULTS = tuple(
    getattr(signal, name)
    for name in (
        *("SIGKILL", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP"),
    )
)


@pytest.mark.parametrize(
    "number", slowly([signal.SIGXCPU, signal.SIGQUIT, *RARE_SIGNALS]), ids=name_of
)
def test_a_signal_saves_and_gives_the_terminal_back(
    open_app: OpenApp, tmp_path: Path, number: int
) -> None:
    app = open_app("words.txt", *LONG)
    step = wait_for_steps(app)
    app.process.send_signal(number)
    assert app.wait_for_exit() == 128 + number
    assert_saved_at_the_end(tmp_path / "runs", at_least=step)
    assert_terminal_restored(app)
    assert "go on with: charlm-tui --resume" in app.plain


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells what is caught")
def test_all_that_would_end_the_app_is_caught(open_app: OpenApp) -> None:
    app = open_app("words.txt", *LONG)
    app.wait_for_text("PREPARING")
    status = Path(f"/proc/{app.process.pid}/status").read_text(encoding="utf-8")
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    missed = [number for number in range(1, 65) if not caught >> (number - 1) & 1]
    assert not {*RARE_SIGNALS, *ending_signals()} & set(missed)


@pytest.mark.parametrize("number", slowly(FAULTS, but=2), ids=name_of)
def test_a_fault_leaves_the_terminal_as_it_was(open_app: OpenApp, number: int) -> None:
    app = open_app("words.txt", *LONG)
    app.wait_for_text("PREPARING")
    app.process.send_signal(number)
    assert app.wait_for_exit() == -number
    app.wait_for(lambda: app.mode == app.mode_before, why="the terminal's mode")
    app.wait_for(lambda: bytes(app.raw).rstrip().endswith(b"\x1b[0m"), why="the last words")
    assert_terminal_restored(app)
