"""Saved weights for sessions that only write."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_fixtures import make_checkpoint

from model.runs.checkpoint_file import write_checkpoint
from model.session.live import SavedWeights


@pytest.fixture
def weights(tmp_path: Path) -> SavedWeights:
    path = tmp_path / "step-00000001.safetensors"
    write_checkpoint(path, make_checkpoint())
    return SavedWeights(path=path)
