"""Checkpoints that are damaged, forged or something else: each refused in a line, none run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import damage_loop
import forked
import pytest

MOST_SECONDS = 1.0
"""Of the processor; a busy machine counts for nothing."""
MOST_MEGABYTES = 30.0
"""The largest header that is read has 1, and its parsed form is larger."""


@pytest.mark.parametrize(
    "count",
    [pytest.param(68, id="short"), pytest.param(1000, id="full", marks=pytest.mark.slow)],
)
def test_every_damaged_checkpoint_is_refused_in_one_line(
    count: int, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    done = subprocess.run(
        [sys.executable, str(damage_loop.__file__), str(tmp_path), str(count), "1"],
        env=forked.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    figure(
        f"damage: {count} checkpoints in {found['kinds']} ways: {found.get('refused', 0)} refused, "
        f"{found.get('loaded', 0)} loaded, {found.get('crashed', 0)} other errors, "
        f"{found['code_run']} times code run, {found['longest_seconds']} s at most, "
        f"{found['megabytes_more']} MB more memory"
    )
    assert found["troubles"] == []
    assert found["refused"] == count
    assert found["code_run"] == 0
    assert found["longest_seconds"] < MOST_SECONDS
    assert found["megabytes_more"] < MOST_MEGABYTES
