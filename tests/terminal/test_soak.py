"""An app that is left running: memory, threads and file handles stay as they are."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from terminal_harness import STEP, TINY, Terminal, assert_terminal_restored

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc"),
]

OpenApp = Callable[..., Terminal]
MINUTES = float(os.environ.get("CHARLM_SOAK_MINUTES", "60"))
KEYS = ("+", "-", "3", "4", "5", "6", "0", "c", "c", "c", "r", "s", ">", "<", "?", "\x1b", " ", " ")
"""Pressed one after the other, over and over: they end where they began."""


@dataclass(frozen=True, slots=True)
class Reading:
    seconds: float
    mebibytes: float
    threads: int
    handles: int


def read(process_id: int, seconds: float) -> Reading:
    folder = Path(f"/proc/{process_id}")
    pages = int((folder / "statm").read_text(encoding="utf-8").split()[1])
    return Reading(
        seconds,
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        len(list((folder / "task").iterdir())),
        len(list((folder / "fd").iterdir())),
    )


def mebibytes_per_hour(readings: Sequence[Reading]) -> float:
    """Returns the slope of the memory, by least squares."""
    slope, _ = statistics.linear_regression(
        [reading.seconds for reading in readings], [reading.mebibytes for reading in readings]
    )
    return slope * 3600


def soak(app: Terminal, minutes: float, seconds_between: float) -> list[Reading]:
    """Presses whole rounds of keys and takes readings; forgets what the app wrote, gigabytes."""
    readings: list[Reading] = []
    began = time.monotonic()
    while time.monotonic() - began < minutes * 60:
        for key in KEYS:
            app.send(key)
            until = time.monotonic() + seconds_between
            while (left := until - time.monotonic()) > 0:
                app._take_in(left)
            if key in {"?", "\x1b"}:  # a key that follows Esc at once would be an Alt of that key
                app.wait_for(partial(help_is, app, shown=key == "?"), why=f"what {key!r} does")
            del app.raw[:]
            assert app.process.poll() is None, app.text
            readings.append(read(app.process.pid, time.monotonic() - began))
    return readings


def help_is(app: Terminal, *, shown: bool) -> bool:
    return ("─ Help ─" in app.text) == shown


def usual(readings: Sequence[Reading]) -> tuple[int, int]:
    """Returns the usual numbers of threads and of handles; a save opens a file for a moment."""
    return (
        statistics.mode(reading.threads for reading in readings),
        statistics.mode(reading.handles for reading in readings),
    )


def save_and_stop(app: Terminal) -> None:
    app.send("q")
    app.wait_for_text("Save and stop")
    app.send("s")
    assert app.wait_for_exit() == 0


@pytest.mark.slow
@pytest.mark.timeout(int(MINUTES * 60) + 300)
def test_an_hour_costs_no_memory_no_threads_and_no_handles(
    open_app: OpenApp, record_property: Callable[[str, object], None]
) -> None:
    options = (*TINY, "--minutes", str(2 * MINUTES + 10), "--rate", "200")
    app = open_app("words.txt", *options, columns=120, rows=40)
    app.wait_for_text("TRAINING")
    readings = soak(app, MINUTES, 2.0)
    warm = [reading for reading in readings if reading.seconds > min(300, MINUTES * 20)]
    slope = mebibytes_per_hour(warm)
    first, last = usual(warm[: len(warm) // 3]), usual(warm[-len(warm) // 3 :])
    figures = (
        f"{MINUTES:g} minutes: {slope:+.2f} MiB/h after the start, {warm[0].mebibytes:.1f} -> "
        f"{warm[-1].mebibytes:.1f} MiB, threads and handles {first} -> {last}"
    )
    print(figures)
    record_property("soak", figures)
    save_and_stop(app)
    assert first == last
    assert slope < 1.0


def test_two_keys_rounds_leave_threads_and_handles_as_they_were(open_app: OpenApp) -> None:
    """The short form: too short for a slope, long enough for a leak at every key."""
    app = open_app("words.txt", *TINY, "--minutes", "30")
    app.wait_for_text("TRAINING")
    app.wait_for(lambda: app.number(STEP) > 0, why="steps")
    rounds = [usual(soak(app, 0.07, 0.25)) for _ in range(2)]
    while rounds[-1] != rounds[-2] and len(rounds) < 6:  # the first may see threads begin
        rounds.append(usual(soak(app, 0.07, 0.25)))
    assert rounds[-1] == rounds[-2], rounds
    save_and_stop(app)
    assert_terminal_restored(app)
