"""Every way in which the app can be ended from outside: the status, the terminal, the steps.

Half of them once in ``make test``, each twenty times under ``make test-slow``.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import PATIENCE
from slow_cases import slowly
from terminal_harness import (
    LONG,
    Terminal,
    assert_saved_at_the_end,
    assert_terminal_restored,
    checkpoint_steps,
    wait_for_steps,
    wait_until_stalled,
)

pytestmark = pytest.mark.terminal

OpenApp = Callable[..., Terminal]
TIMES = 20

HANG_UP = "hang-up"
ENDINGS = ("SIGTERM", HANG_UP, f"stall then {HANG_UP}", "SIGHUP", "SIGINT", "stall then SIGTERM")


def end(open_app: OpenApp, home: Path, ending: str) -> float:
    """Ends an app and asserts all that is promised; returns the seconds that it took to end."""
    stalls, how = "stall" in ending, ending.removeprefix("stall then ")
    if stalls:
        app = open_app("words.txt", *LONG, "--rate", "1000", columns=200, rows=60)
    else:
        app = open_app("words.txt", *LONG)
    step = wait_for_steps(app)
    if stalls:
        wait_until_stalled(app)
    began = time.monotonic()
    number = signal.SIGHUP if how == HANG_UP else signal.Signals[how]
    if how == HANG_UP:
        app.hang_up()
    else:
        app.process.send_signal(number)
    # A stalled terminal stays stalled: nothing is taken in while waiting.
    status = app.process.wait(PATIENCE) if stalls else app.wait_for_exit()
    seconds = time.monotonic() - began
    assert status == 128 + number
    assert_saved_at_the_end(home / "runs", at_least=step)
    if how != HANG_UP:
        # Whoever reads a stalled terminal at last finds it as the shell left it.
        app.take_rest()
        assert_terminal_restored(app)
        assert "Traceback" not in app.plain
    if how != HANG_UP and not stalls:
        assert "go on with: charlm-tui --resume" in app.plain
    app.hang_up()
    return seconds


@pytest.mark.parametrize("ending", slowly(ENDINGS, but=3))
def test_an_ending_saves_and_gives_the_terminal_back(
    open_app: OpenApp, tmp_path: Path, ending: str, record_property: Callable[[str, object], None]
) -> None:
    seconds = end(open_app, tmp_path, ending)
    assert checkpoint_steps(tmp_path / "runs")
    record_property("seconds to end", round(seconds, 2))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("ending", ENDINGS)
def test_twenty_endings_lose_nothing(
    open_app: OpenApp, tmp_path: Path, ending: str, record_property: Callable[[str, object], None]
) -> None:
    seconds = []
    for _ in range(TIMES):
        for path in sorted((tmp_path / "runs").glob("*/*")):
            path.unlink()
        for path in sorted((tmp_path / "runs").glob("*")):
            path.rmdir()
        seconds.append(end(open_app, tmp_path, ending))
    figures = (
        f"{ending}: {len(seconds)} of {TIMES} saved at the last step, restored, status right; "
        f"seconds to end: median {sorted(seconds)[TIMES // 2]:.2f}, most {max(seconds):.2f}"
    )
    print(figures)
    record_property("endings", figures)
