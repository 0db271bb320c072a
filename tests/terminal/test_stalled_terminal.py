"""A terminal that reads nothing for a while: training goes on, memory stays, the screen returns.

The control is the same app a moment before, while its terminal is read. What other programs leave
it of the machine changes from one moment to the next, so nothing is measured in steps a second: a
trainer that is not held up works or waits for a core, all of the time, and makes as many steps of a
second of work as before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from patience import moments
from terminal_harness import (
    LONG,
    STEP,
    Terminal,
    wait_for_steps,
    wait_until_stalled,
)

from model.runs.folder import RunFolder

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.skipif(
        not Path("/proc/self/schedstat").exists(), reason="reads what each thread waited for"
    ),
]

OpenApp = Callable[..., Terminal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """How an app trained for a stretch of time."""

    at_work: float
    """The share of the time in which the trainer's thread worked or waited for a core."""
    steps_per_second_of_work: float
    mebibytes: float
    """At most."""


def last_step(runs: Path) -> int:
    (run,) = RunFolder.all(runs)
    records = run.record.read_lines("metrics.jsonl")
    return max((record["step"] for record in records if record["event"] == "step"), default=0)


def mebibytes(app: Terminal) -> float:
    pages = int(Path(f"/proc/{app.process.pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def trainer_of(app: Terminal) -> Path:
    """Returns the folder of the thread that has worked most."""
    return max(Path(f"/proc/{app.process.pid}/task").iterdir(), key=lambda task: times_of(task)[0])


def times_of(task: Path) -> tuple[float, float]:
    """Returns the seconds that a thread has worked, and those that it waited for a core."""
    worked, waited, _ = (task / "schedstat").read_text(encoding="utf-8").split()
    return int(worked) / 1e9, int(waited) / 1e9


def train_for(app: Terminal, runs: Path, seconds: float, *, reading: bool) -> Stretch:
    """Lets the app train, and reads what it writes, or nothing at all."""
    trainer, most = trainer_of(app), 0.0
    first, began, (worked, waited) = last_step(runs), time.monotonic(), times_of(trainer)
    for _ in moments("steps enough to compare"):
        if reading:
            app.take_rest()
            del app.raw[:]
        most = max(most, mebibytes(app))
        passed, now = time.monotonic() - began, times_of(trainer)
        if passed >= seconds and now[0] - worked >= seconds / 10:
            break
    made, work = last_step(runs) - first, now[0] - worked
    return Stretch(
        at_work=(work + now[1] - waited) / passed,
        steps_per_second_of_work=made / work,
        mebibytes=most,
    )


def stall(open_app: OpenApp, home: Path, seconds: float) -> str:
    """Stalls an app and asserts that it went on as before; returns the figures in words."""
    runs = home / "runs"
    app = open_app("words.txt", *LONG, "--rate", "1000", columns=200, rows=60)
    wait_for_steps(app)
    before = train_for(app, runs, seconds, reading=True)
    wait_until_stalled(app)
    during = train_for(app, runs, seconds, reading=False)
    made, began = last_step(runs), time.monotonic()
    app.wait_for(lambda: app.number(STEP) >= made, why="the screen of now")
    redrawn = time.monotonic() - began
    app.wait_for_text("TRAINING", "Writing", "q Quit")
    assert max(len(line.rstrip()) for line in app.screen.display) == 200
    app.send("+")
    app.wait_for_text("temperature 0.75")
    speed = during.steps_per_second_of_work / before.steps_per_second_of_work
    more = during.mebibytes - before.mebibytes
    assert during.at_work > 0.7 * before.at_work
    assert speed > 0.5
    assert more < 20
    return (
        f"{seconds:g} s: the trainer at work {during.at_work:.0%} of the time "
        f"(read: {before.at_work:.0%}), {speed:.0%} of the steps a second of work, "
        f"{more:+.1f} MiB, {redrawn:.2f} s to redraw"
    )


def test_a_stalled_terminal_stops_nothing(
    open_app: OpenApp, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    figure("stalled terminal, " + stall(open_app, tmp_path, 3.0))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_terminal_stalled_for_a_minute_stops_nothing(
    open_app: OpenApp, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    figure("stalled terminal, " + stall(open_app, tmp_path, 60.0))
