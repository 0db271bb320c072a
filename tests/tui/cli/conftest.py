"""A home folder, and one with a finished run that all tests of a process share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from trained_home import PLAN, TEXT, Trained, charlm, objects


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    home = tmp_path_factory.mktemp("home")
    (home / "words.txt").write_text(TEXT, encoding="utf-8")
    done = charlm(home, "train", "words.txt", "--json", *PLAN)
    assert done.status == 0, done.complaint
    return Trained(home=home, events=objects(done.output), complaint=done.complaint)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "words.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


@pytest.fixture
def copied(trained: Trained, tmp_path: Path) -> Path:
    """A home whose run may be damaged."""
    shutil.copytree(trained.home, tmp_path / "copy")
    return tmp_path / "copy"
