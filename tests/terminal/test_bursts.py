"""Keys in bursts, one write each, to the real program in a terminal: it answers, and in order.

Thirty bursts in ``make test``, 20,000 under ``make test-slow``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from terminal_harness import (
    TINY,
    Terminal,
    assert_saved_at_the_end,
    assert_terminal_restored,
    wait_for_steps,
)

pytestmark = pytest.mark.terminal

OpenApp = Callable[..., Terminal]
ESCAPE, BACKSPACE = "\x1b[27u", "\x7f"
PALETTE = "\x10" + ESCAPE
KEYS = (
    *"-+[]tTkKuUjJ <>ri123456789vm\txlbp/nN?hcaBo0.5",
    *(ESCAPE, BACKSPACE, PALETTE, "\r", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F"),
    *("\x1b[<0;20;10M\x1b[<0;20;10m", "\x1b[<0;40;12M\x1b[<0;40;12m" * 2, "\x1b[<64;30;20M"),
    "\x1b[200~pasted\nlines\x1b[201~",
)
"""All but those that save, write files or end training or the app, as the palette could, too."""
BETWEEN_QUESTIONS = 25
"""Bursts after which the app has to show what is typed."""


def leave_dialogs_and_ask(app: Terminal, number: int) -> None:
    """Types into a field, in one write with the keys that lead there, and sees it there."""
    figures = f"{number % 5}.{number % 100000:05d}1"
    app.send(ESCAPE * 6 + "t" + BACKSPACE * 12 + figures)
    app.wait_for_text("Temperature", figures)
    app.send(ESCAPE)
    app.wait_for(lambda: figures not in app.text, why="the end of the dialog")


def send_bursts(open_app: OpenApp, home: Path, count: int, seed: int) -> str:
    chance = random.Random(seed)
    app = open_app("words.txt", *TINY, "--minutes", "600")  # longer than any count of bursts
    step = wait_for_steps(app)
    began = time.monotonic()
    for number in range(count):
        burst = "".join(chance.choices(KEYS, k=chance.randint(1, 12)))
        app.send(burst)
        app.take_rest()
        assert app.process.poll() is None, app.text
        if number % BETWEEN_QUESTIONS == 0:
            leave_dialogs_and_ask(app, number)
    app.send(ESCAPE * 6 + "qq")
    assert app.wait_for_exit() == 0
    assert_terminal_restored(app)
    assert "defect" not in app.plain
    assert_saved_at_the_end(home / "runs", at_least=step)
    return (
        f"{count:,} bursts of up to 12 keys, one write each, {time.monotonic() - began:.0f} s: "
        f"no crash, {(count - 1) // BETWEEN_QUESTIONS + 1} fields of as many show what was typed"
    )


def test_a_terminal_that_sends_bursts_is_answered_in_order(
    open_app: OpenApp, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    figure("bursts: " + send_bursts(open_app, tmp_path, 30, seed=1))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_twenty_thousand_bursts_are_answered_in_order(
    open_app: OpenApp, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    figure("bursts: " + send_bursts(open_app, tmp_path, 20_000, seed=2))
