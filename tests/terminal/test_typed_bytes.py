"""The app in a real terminal that sends it anything, in any size."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from terminal_harness import (
    LONG,
    STEP,
    Terminal,
    assert_saved_at_the_end,
    assert_terminal_restored,
    wait_for_steps,
)

pytestmark = pytest.mark.terminal

OpenApp = Callable[..., Terminal]

KEYS_THAT_END = re.compile(rb"[\x03\x11\x1asdqy\r\n]")
"""Ctrl-C, Ctrl-Q and Ctrl-Z, and what answers a question: they end or stop the app, as they should.
Everything else of a random stream stays."""

LOOKS_AT_A_SCREEN = 400
"""How often a screen is looked at before another one is asked for; a look waits 50 ms at most."""


def type_bytes(app: Terminal, data: bytes) -> None:
    """Types, taking in what the app writes, for a terminal holds only so much of either."""
    os.set_blocking(app.master, False)
    while data:
        with contextlib.suppress(BlockingIOError):
            data = data[os.write(app.master, data[:512]) :]
        app.take_rest()
        assert app.process.poll() is None, app.text
    os.set_blocking(app.master, True)


def leave(app: Terminal, home: Path, step: int) -> None:
    """Ends the app from outside: what is open on the screen is anybody's guess."""
    app.process.terminate()
    assert app.wait_for_exit() == 143
    assert_terminal_restored(app)
    assert "Traceback" not in app.plain
    assert "defect" not in app.plain
    assert_saved_at_the_end(home / "runs", at_least=step)


def survive_bytes(open_app: OpenApp, home: Path, count: int, seed: int) -> None:
    app = open_app("words.txt", *LONG)
    step = wait_for_steps(app)
    data = KEYS_THAT_END.sub(b"", random.Random(seed).randbytes(count))
    type_bytes(app, data)
    type_bytes(app, b"\xff\xfe\x1b[48;99999;99999;0;0t\x1b[<999999;999999;999999M\x00\x04")
    type_bytes(app, b"\x1b[200~" + b"paste " * 5000 + b"\x1b[201~")
    app.wait_for_text("charlm-tui")
    leave(app, home, step)


def survive_sizes(open_app: OpenApp, home: Path, count: int, seed: int) -> None:
    chance = random.Random(seed)
    app = open_app("words.txt", *LONG)
    step = wait_for_steps(app)
    corners = [(0, 0), (1, 1), (2, 2), (1, 200), (200, 1), (5, 10), (999, 500), (999, 1)]
    for number in range(count):
        size = corners[number % 8] if number % 5 == 0 else None
        columns, rows = size or (chance.randrange(1000), chance.randrange(501))
        app._size(columns, rows)
        app.take_rest()
        assert app.process.poll() is None, app.text
    see_all_again(app)
    leave(app, home, step)


def see_all_again(app: Terminal) -> None:
    """Waits for a whole screen, asking for another one after some hundreds of looks.

    What was on its way for other sizes may spoil some of the first.
    """
    sizes = itertools.cycle((81, 80))
    looks = itertools.count()

    def is_whole() -> bool:
        if next(looks) % LOOKS_AT_A_SCREEN == 0:
            app.resize(next(sizes), 24)
            app.screen.reset()
        words = all(word in app.text for word in ("TRAINING", "Writing", "q Quit"))
        return words and app.number(STEP) > 0

    app.wait_for(is_whole, why="a whole screen")


def test_five_kilobytes_of_anything_do_not_end_the_app(open_app: OpenApp, tmp_path: Path) -> None:
    survive_bytes(open_app, tmp_path, 5_000, seed=1)


def test_fifty_sizes_do_not_end_the_app(open_app: OpenApp, tmp_path: Path) -> None:
    survive_sizes(open_app, tmp_path, 50, seed=2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_kilobytes_of_anything_do_not_end_the_app(
    open_app: OpenApp, tmp_path: Path
) -> None:
    survive_bytes(open_app, tmp_path, 100_000, seed=3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_thousand_sizes_do_not_end_the_app(open_app: OpenApp, tmp_path: Path) -> None:
    survive_sizes(open_app, tmp_path, 2_000, seed=4)
