"""A training that is interrupted at any step ends in the bits of one that was not.

That each part of the state is needed (six mutants that lack one) is in
`tests/model/training/test_exact_resume.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forked
import pytest
import resume_splits


def compared(folder: Path, splits: int, straight_runs: int, seed: int) -> dict[str, Any]:
    numbers = [str(splits), str(straight_runs), str(seed)]
    done = subprocess.run(
        [sys.executable, str(resume_splits.__file__), str(folder), *numbers],
        env=forked.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def sentence(found: dict[str, Any], straight_runs: int) -> str:
    return (
        f"resume: {found['splits']} random splits with 1 and 2 threads: "
        f"{len(found['differing'])} differ in state, losses, samples, next "
        f"{resume_splits.NEXT_BATCHES} batches or next {resume_splits.CHARACTERS} characters; "
        f"{straight_runs} straight runs with each: {sorted(found['hashes'].values())} hashes"
    )


def assert_the_same(found: dict[str, Any], splits: int) -> None:
    engines = len(resume_splits.ENGINES)
    assert found["splits"] == splits * engines
    assert found["differing"] == []
    assert set(found["hashes"].values()) == {1}, "the same seed and settings, the same bits"
    assert len(found["hashes"]) == engines
    assert found["sampled"] == splits * engines * resume_splits.CHARACTERS


def test_two_splits_with_each_number_of_threads_end_as_without(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    found = compared(tmp_path, 2, 2, seed=1)
    figure(sentence(found, 2))
    assert_the_same(found, 2)


@pytest.mark.slow
def test_twenty_splits_with_each_end_as_without_and_ten_runs_have_one_hash(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    found = compared(tmp_path, 20, 10, seed=2)
    figure(sentence(found, 10))
    assert_the_same(found, 20)
