"""Limits that are too low for a training end it in one line, and leave no run (C7)."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from model_fixtures import TEXT
from patience import PATIENCE


def train_within(kilobytes: int | None, folder: Path, *options: str) -> tuple[int, str]:
    """Trains in a process of so much address space; returns status and complaint."""
    (folder / "t.txt").write_text(TEXT * 900, encoding="utf-8")

    def limit() -> None:
        if kilobytes is not None:
            resource.setrlimit(resource.RLIMIT_AS, (kilobytes * 1024, resource.RLIM_INFINITY))

    command = [sys.executable, "-m", "tui", "train", "t.txt", "--run", "r", "--offline", *options]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        preexec_fn=limit,
        check=False,
    )
    assert "defect" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("kilobytes", [500_000, 900_000, 1_200_000])
def test_a_limit_under_which_torch_cannot_be_is_said_before_it_is_imported(
    kilobytes: int, tmp_path: Path
) -> None:
    status, complaint = train_within(kilobytes, tmp_path, "--epochs", "1")
    assert status == 5
    assert "memory: a training takes at least 1.1 GB of what `ulimit -v` counts" in complaint
    assert complaint.count("\n") == 1
    assert not (tmp_path / "checkpoints").exists()


def test_a_batch_that_no_memory_holds_is_refused_before_there_is_a_run(tmp_path: Path) -> None:
    options = ("--batch", "4096", "--sequence", "4096")
    status, complaint = train_within(3_000_000, tmp_path, *options)
    assert status == 2
    assert "--batch: this training needs about" in complaint.splitlines()[-1]
    assert not (tmp_path / "checkpoints").exists()
