"""What an import must not drag in: torch takes two seconds, and a domain knows no screen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import forked
import pytest
from patience import PATIENCE

HEAVY = ("torch", "textual", "rich", "textual_plot", "click", "matplotlib")

TORCH_FREE = [
    "corpus",
    "model",
    "model.data.batches",
    "model.ngram.ngram_stepper",
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


def imported_by(code: str) -> set[str]:
    """Returns the modules that a new process has imported after running some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        env=forked.environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return set(done.stdout.split())


def test_all_torch_free_modules_together_import_nothing_heavy() -> None:
    loaded = imported_by("import " + ", ".join(TORCH_FREE))
    assert set(TORCH_FREE) <= loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "module", ["corpus", "model.session.live", "model.runs.folder", "model.sampling.stream"]
)
def test_importing_it_alone_imports_nothing_heavy(module: str) -> None:
    assert imported_by(f"import {module}").isdisjoint(HEAVY)


def test_the_modules_with_torch_know_no_screen() -> None:
    loaded = imported_by("import " + ", ".join(WITH_TORCH))
    assert "torch" in loaded, "or this test would look at nothing"
    assert loaded.isdisjoint(set(HEAVY) - {"torch"})


@pytest.mark.parametrize("optimiser", ["adamw", "rmsprop"])
def test_a_training_imports_no_compiler_of_pytorch(optimiser: str, tmp_path: Path) -> None:
    """With ``torch.optim`` it would: a second of every start, on a fast machine."""
    code = f"""
from pathlib import Path
from model_fixtures import make_request
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun
request = make_request(
    Path({str(tmp_path)!r}), epochs=1, optimiser={optimiser!r}, weight_decay=0.0
)
names = [type(event).__name__ for event in TrainingRun(request, TrainingControls()).events()]
assert "StepFinished" in names
"""
    loaded = imported_by(code)
    assert "torch" in loaded
    assert loaded.isdisjoint({"torch._dynamo", "sympy"})


def test_a_kernel_from_the_disk_imports_no_compiler_of_numba(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it, the first characters of every session would come a fifth of a second later."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    code = "import cached_kernel as one; print(one.was_compiled(one.make_stepper()))"
    assert {"True", "numba.np.linalg"} <= imported_by(code), "it is compiled at first"
    loaded = imported_by(code)
    assert "False" in loaded
    assert "numba.np.linalg" not in loaded
