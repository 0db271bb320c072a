"""The keeper puts a terminal back when the app's process ends, and only then."""

from __future__ import annotations

import os
import termios
import tty
from collections.abc import Iterator

import pytest
from patience import wait_until

from tui.terminal.keeper import TerminalKeeper
from tui.terminal.output import RESET


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    master, slave = os.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def end_process(keeper: TerminalKeeper) -> None:
    """What the system does with the pipe when a process ends."""
    assert keeper._process is not None
    assert keeper._process.stdin is not None
    keeper._process.stdin.close()
    keeper._process.wait()


def test_an_app_that_ends_on_the_screen_leaves_the_mode_from_before(
    ends: tuple[int, int],
) -> None:
    master, slave = ends
    before = termios.tcgetattr(slave)
    keeper = TerminalKeeper(slave)
    keeper.note(shown=True)
    tty.setraw(slave)
    end_process(keeper)
    assert termios.tcgetattr(slave) == before
    assert os.read(master, 4096) == RESET


@pytest.mark.parametrize("words", [(), (True, False)], ids=["not yet", "not any more"])
def test_a_terminal_that_the_app_does_not_have_is_left_alone(
    ends: tuple[int, int], words: tuple[bool, ...]
) -> None:
    master, slave = ends
    keeper = TerminalKeeper(slave)
    for shown in words:
        keeper.note(shown=shown)
    tty.setraw(slave)
    raw = termios.tcgetattr(slave)
    end_process(keeper)
    assert termios.tcgetattr(slave) == raw
    os.set_blocking(master, False)
    with pytest.raises(BlockingIOError):
        os.read(master, 4096)


def test_a_closed_keeper_leaves_no_process(ends: tuple[int, int]) -> None:
    keeper = TerminalKeeper(ends[1])
    process = keeper._process
    assert process is not None
    keeper.note(shown=True)
    keeper.note(shown=False)
    keeper.close()
    wait_until(lambda: process.returncode == 0)


def test_without_a_shell_there_is_no_keeper(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    keeper = TerminalKeeper(ends[1])
    assert keeper._process is None
    keeper.note(shown=True)
    keeper.close()
