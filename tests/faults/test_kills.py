"""kill -9 at random moments of a training that saves every 50 ms: nothing is ever unreadable."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forked
import kill_loop
import pytest


def killed(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(kill_loop.__file__), str(folder), str(kills), str(seed)],
        env=forked.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def assert_nothing_lost(found: dict[str, Any], kills: int) -> None:
    assert found["kills"] == kills
    for trouble in (
        "unreadable",
        "damaged_newest",
        "older_than_acknowledged",
        "stale_after_restart",
        "repeated_steps",
    ):
        assert found.get(trouble, 0) == 0, found
    assert found["restarts"] > kills / 3, "most were killed while they trained"
    assert found["saves"] > kills / 3
    assert found["last_step"] > 0


def sentence(found: dict[str, Any]) -> str:
    return (
        f"kill -9: {found['kills']} kills, {found.get('within_a_save', 0)} of them within a save, "
        f"{found['saves']} saves: {found.get('unreadable', 0)} unreadable runs, "
        f"{found.get('older_than_acknowledged', 0)} saved checkpoints lost, at most "
        f"{found['most_seconds_lost']:.2f} s of training lost (50 ms between saves), "
        f"{found.get('stale_after_restart', 0)} stale files after {found['restarts']} restarts, "
        f"{found['repeated_steps']} steps told twice"
    )


def test_twenty_kills_lose_nothing_that_was_saved(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    found = killed(tmp_path, 20, seed=1)
    figure(sentence(found))
    assert_nothing_lost(found, 20)


@pytest.mark.slow
def test_five_hundred_kills_lose_nothing_that_was_saved(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    found = killed(tmp_path, 500, seed=2)
    figure(sentence(found))
    assert_nothing_lost(found, 500)
    assert found["within_a_save"] > 20, "otherwise it proves little"
