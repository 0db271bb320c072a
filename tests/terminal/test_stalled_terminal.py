"""A terminal that reads nothing for a while: training goes on, memory stays, the screen returns."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from terminal_harness import (
    LONG,
    STEP,
    Terminal,
    poll_moments,
    stalled_moments,
    wait_for_steps,
)

from model.run_folder import RunFolder

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc"),
]

OpenApp = Callable[..., Terminal]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was trained in a stretch of time."""

    steps_per_second: float
    mebibytes: float
    """At most."""


def last_step(runs: Path) -> int:
    (run,) = RunFolder.all(runs)
    records = run.read_lines("metrics.jsonl")
    return max((record["step"] for record in records if record["event"] == "step"), default=0)


def mebibytes(app: Terminal) -> float:
    pages = int(Path(f"/proc/{app.process.pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def train_for(app: Terminal, runs: Path, seconds: float, *, reading: bool) -> Stretch:
    """Lets the app train, and reads what it writes, or nothing at all."""
    first, began, most = last_step(runs), time.monotonic(), 0.0
    for _ in poll_moments(seconds + 60):
        if reading:
            app.take_rest()
            del app.raw[:]
        most = max(most, mebibytes(app))
        if time.monotonic() - began >= seconds:
            break
    passed = time.monotonic() - began
    return Stretch((last_step(runs) - first) / passed, most)


def stall(open_app: OpenApp, home: Path, seconds: float) -> tuple[float, float, float]:
    """Returns the share of the usual speed while stalled, MiB more, and seconds to redraw."""
    runs = home / "runs"
    app = open_app("words.txt", *LONG, "--rate", "1000", columns=200, rows=60)
    wait_for_steps(app)
    before = train_for(app, runs, seconds, reading=True)
    stalled = stalled_moments(app)
    while not next(stalled):
        pass
    during = train_for(app, runs, seconds, reading=False)
    assert during.steps_per_second > 0
    made = last_step(runs)
    began = time.monotonic()
    app.wait_for(lambda: app.number(STEP) >= made, why="the screen of now", seconds=100)
    redrawn = time.monotonic() - began
    app.wait_for_text("TRAINING", "Writing", "q Quit")
    assert max(len(line.rstrip()) for line in app.screen.display) == 200
    after = train_for(app, runs, seconds, reading=True)
    usual = (before.steps_per_second + after.steps_per_second) / 2
    app.send("+")
    app.wait_for_text("temperature 1.05")
    return during.steps_per_second / usual, during.mebibytes - before.mebibytes, redrawn


def test_a_stalled_terminal_stops_nothing(
    open_app: OpenApp, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    share, more, redrawn = stall(open_app, tmp_path, 6.0)
    record_property("stall", f"6 s: {share:.0%} speed, {more:+.1f} MiB, {redrawn:.2f} s to redraw")
    assert more < 20


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_terminal_stalled_for_a_minute_stops_nothing(
    open_app: OpenApp, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    share, more, redrawn = stall(open_app, tmp_path, 60.0)
    figures = f"60 s: {share:.0%} of the speed, {more:+.1f} MiB, {redrawn:.2f} s to redraw"
    print(figures)
    record_property("stall", figures)
    assert more < 20
