"""New folders reach the disk, and so does their name in the folder above."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from corpus.files.atomic_file import make_folder


def test_a_new_folder_is_synced_into_each_folder_above_it_that_is_new_or_gets_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    make_folder(tmp_path / "runs" / "mine" / "first")
    parents = (tmp_path, tmp_path / "runs", tmp_path / "runs" / "mine")
    assert {parent.stat().st_ino for parent in parents} <= set(synced)
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "runs")
