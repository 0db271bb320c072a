"""A run that was interrupted ends in the very bits of one that was not."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from model_fixtures import make_request, of_kind
from patience import PATIENCE

from model.config import ModelConfig
from model.events import Finished, StepFinished
from model.presets import PRESETS
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_file import read_checkpoint, write_checkpoint
from model.runs.folder import RunFolder
from model.runs.request import RunRequest
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun

Tensors = dict[str, npt.NDArray[Any]]

MODEL = ModelConfig(hidden=8, layers=2, embedding=4, dropout=0.3)
STEPS_PER_EPOCH = 15
SETTINGS: dict[str, Any] = {"reset_probability": 0.3, "epochs": 3}
NOTEBOOK: dict[str, Any] = {
    **dataclasses.asdict(PRESETS["notebook"].training),
    "batch": 32,
    "sequence": 12,
    "epochs": 3,
    "sample_length": 12,
    "sample_prompt": 8,
    "device": "cpu",
    "precision": "fp32",
    "threads": 1,
}


def train(request: RunRequest, *, until: int | None = None) -> None:
    """Trains to the planned end, or stops after step `until` as a signal would stop it."""
    controls = TrainingControls()
    for event in TrainingRun(request, controls).events():
        if isinstance(event, StepFinished) and event.step == until:
            controls.stop(hurry=True)


def last_checkpoint(folder: Path) -> Checkpoint:
    return RunFolder(folder / "runs" / "tiny").checkpoints.load_latest(pytest.fail)


def differing(one: Checkpoint, other: Checkpoint) -> list[str]:
    assert one.metadata.step == other.metadata.step
    assert set(one.tensors) == set(other.tensors)
    return [n for n, value in one.tensors.items() if value.tobytes() != other.tensors[n].tobytes()]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("straight")
    train(make_request(folder, model=MODEL, **SETTINGS))
    checkpoint = last_checkpoint(folder)
    assert checkpoint.metadata.step == 3 * STEPS_PER_EPOCH
    return checkpoint


@pytest.mark.parametrize("split", [1, 7, 14, 15, 16, 23, 30, 44])
def test_it_ends_bit_for_bit_as_without_the_interruption(
    split: int, straight: Checkpoint, tmp_path: Path
) -> None:
    train(make_request(tmp_path, model=MODEL, **SETTINGS), until=split)
    assert last_checkpoint(tmp_path).metadata.step == split
    assert differing(last_checkpoint(tmp_path), dataclasses.replace(
        straight, metadata=last_checkpoint(tmp_path).metadata)), "there is work left"  # fmt: skip
    train(make_request(tmp_path, resume=True))
    assert differing(last_checkpoint(tmp_path), straight) == []


def test_it_may_be_interrupted_again_and_again(straight: Checkpoint, tmp_path: Path) -> None:
    train(make_request(tmp_path, model=MODEL, **SETTINGS), until=4)
    for split in (5, 16, 31):
        train(make_request(tmp_path, resume=True), until=split)
    train(make_request(tmp_path, resume=True))
    assert differing(last_checkpoint(tmp_path), straight) == []


def test_a_fresh_process_goes_on_exactly(straight: Checkpoint, tmp_path: Path) -> None:
    train(make_request(tmp_path, model=MODEL, **SETTINGS), until=20)
    code = """
        import sys
        from pathlib import Path
        from model.config import ModelConfig, TrainingConfig
        from model.training.controls import TrainingControls
        from model.runs.request import RunRequest
        from model.training.training_run import TrainingRun
        request = RunRequest(
            corpus=None, preset="quick", model=ModelConfig(), training=TrainingConfig(),
            root=Path(sys.argv[1]), run="tiny", resume=True,
        )
        for event in TrainingRun(request, TrainingControls()).events():
            pass
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "runs")]
    subprocess.run(command, check=True, timeout=PATIENCE)
    assert differing(last_checkpoint(tmp_path), straight) == []


@pytest.mark.parametrize("split", [5, 30])
def test_the_notebooks_way_goes_on_exactly(split: int, tmp_path: Path) -> None:
    model = ModelConfig(hidden=8, embedding=0)
    train(make_request(tmp_path / "straight", model=model, **NOTEBOOK))
    train(make_request(tmp_path / "split", model=model, **NOTEBOOK), until=split)
    train(make_request(tmp_path / "split", resume=True))
    one, other = (last_checkpoint(tmp_path / name) for name in ("straight", "split"))
    assert one.metadata.step == 36
    assert differing(one, other) == []


def test_the_same_seed_trains_the_same_weights_and_another_others(
    straight: Checkpoint, tmp_path: Path
) -> None:
    train(make_request(tmp_path / "same", model=MODEL, **SETTINGS))
    assert differing(last_checkpoint(tmp_path / "same"), straight) == []
    train(make_request(tmp_path / "other", model=MODEL, seed=1, **SETTINGS))
    assert differing(last_checkpoint(tmp_path / "other"), straight)


# --- each part of the state is needed -------------------------------------------------------------


def forget_optimiser(tensors: Tensors, progress: dict[str, Any]) -> None:
    for name in [name for name in tensors if name.startswith("optimiser.")]:
        del tensors[name]


def forget_hidden_state(tensors: Tensors, progress: dict[str, Any]) -> None:
    del tensors["state.hidden"], tensors["state.cell"]


def forget_random_state(tensors: Tensors, progress: dict[str, Any]) -> None:
    tensors["random.torch"] = torch.Generator().manual_seed(99).get_state().numpy()


def forget_place_in_the_text(tensors: Tensors, progress: dict[str, Any]) -> None:
    progress["batches"]["index"] = 1


def forget_order_of_epochs(tensors: Tensors, progress: dict[str, Any]) -> None:
    progress["batches"]["random"] = np.random.default_rng(99).bit_generator.state


def forget_step(tensors: Tensors, progress: dict[str, Any]) -> None:
    progress["step"] = 0


@pytest.mark.parametrize(
    "forget",
    [
        forget_optimiser,
        forget_hidden_state,
        forget_random_state,
        forget_place_in_the_text,
        forget_order_of_epochs,
        forget_step,
    ],
)
def test_without_any_part_of_the_state_it_ends_elsewhere(
    forget: Callable[[Tensors, dict[str, Any]], None], straight: Checkpoint, tmp_path: Path
) -> None:
    train(make_request(tmp_path, model=MODEL, **SETTINGS), until=20)
    (path,) = (path for path in (tmp_path / "runs" / "tiny").glob("step-00000020.*"))
    checkpoint = read_checkpoint(path)
    tensors, progress = dict(checkpoint.tensors), dict(checkpoint.metadata.progress)
    forget(tensors, progress)
    step = progress["step"]
    metadata = dataclasses.replace(checkpoint.metadata, step=step, progress=progress)
    write_checkpoint(path, Checkpoint(metadata=metadata, tensors=tensors))
    controls = TrainingControls()
    run = TrainingRun(make_request(tmp_path, resume=True), controls)
    finished = of_kind(run.events(), Finished)
    assert finished[0].reason == "completed"
    weights = last_checkpoint(tmp_path).weights()
    expected = straight.weights()
    assert any(not np.array_equal(weights[name], expected[name]) for name in expected)
