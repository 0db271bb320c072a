"""What an import must not drag in: torch takes two seconds, and a domain knows no screen."""

from __future__ import annotations

import subprocess
import sys

import pytest
from patience import PATIENCE

HEAVY = ("torch", "textual", "rich", "textual_plot", "click")

TORCH_FREE = [
    "corpus",
    "model",
    "model.data.batches",
    "model.runs.checkpoint_file",
    "model.runs.export",
    "model.session.live",
    "model.runs.open",
    "model.presets",
    "model.distributed.rank",
    "model.runs.folder",
    "model.sampling.stream",
    "model.session.sampler_thread",
    "model.session.scripted",
]
WITH_TORCH = ["model.training.training_run", "model.evaluation.protocols"]


def imported_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    return set(done.stdout.split())


def test_all_torch_free_modules_together_import_nothing_heavy() -> None:
    loaded = imported_by(", ".join(TORCH_FREE))
    assert set(TORCH_FREE) <= loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "module", ["corpus", "model.session.live", "model.runs.folder", "model.sampling.stream"]
)
def test_importing_it_alone_imports_nothing_heavy(module: str) -> None:
    assert imported_by(module).isdisjoint(HEAVY)


def test_the_modules_with_torch_know_no_screen() -> None:
    loaded = imported_by(", ".join(WITH_TORCH))
    assert "torch" in loaded, "or this test would look at nothing"
    assert loaded.isdisjoint(set(HEAVY) - {"torch"})
