"""Where nothing can be compiled, NumPy and PyTorch do the work. C24."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import forked
import pytest
import torch
from model_fixtures import TINY_MODEL, TINY_TRAINING, VOCABULARY, make_checkpoint
from network_fixtures import make_network, snapshot_of
from patience import PATIENCE
from slow_cases import slowly

from model.compute.engine import Engine
from model.config import ModelConfig, SamplingConfig
from model.kernels.splitmix import BLOCK
from model.network.snapshot import LstmSnapshot
from model.runs.checkpoint_file import write_checkpoint
from model.sampling.sampler import Sampler
from model.system import compiled_code as compiler
from model.system.compiled_code import made_or_none, setback
from model.training import engines as engine_list
from model.training.engines import can_compile, can_compute, possible_engines

LENGTH = 5000
NO_NUMBA = "raise OSError('libllvmlite.so: cannot open shared object file')"
BROKEN = {
    "turned off": ({"NUMBA_DISABLE_JIT": "1"}, ""),
    "no numba": ({}, "numba"),
    "no llvmlite": ({}, "llvmlite"),
}


@pytest.fixture(autouse=True)
def _nothing_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "_FAILURES", [])


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has all compiling fail; holds a number for each try."""
    tries: list[int] = []

    def fail(*_: object, **__: object) -> None:
        tries.append(1)
        raise RuntimeError("failed to map segment\nfrom shared object")

    monkeypatch.setattr(Sampler, "_make_decoder", fail)
    monkeypatch.setattr(engine_list, "_tried", fail)
    return tries


def written(seeds: list[int], numpy_characters: int) -> list[list[int]]:
    """Returns the ids of the texts, [N][S], after 3 blocks."""
    snapshot = snapshot_of(make_network(ModelConfig(hidden=12), len(VOCABULARY)))
    assert isinstance(snapshot, LstmSnapshot)
    sampler = Sampler(
        snapshot,
        VOCABULARY,
        sampling=SamplingConfig(),
        seeds=seeds,
        numpy_characters=numpy_characters,
    )
    ids: list[list[int]] = []
    with closing(sampler):
        while len(ids) < 3 * BLOCK:
            ids += sampler.write(3 * BLOCK - len(ids))[0].tolist()
    return ids


def test_here_code_can_be_compiled() -> None:
    assert can_compile()
    assert setback() is None


@pytest.mark.parametrize("seeds", [[7], [3, 7, 9, 20, 21, 22]])
def test_texts_go_on_from_the_same_state_c24(seeds: list[int], no_compiler: list[int]) -> None:
    in_numpy = written(seeds, 10 * BLOCK)
    assert not no_compiler
    for _ in range(2):
        assert written(seeds, BLOCK) == in_numpy
    assert len(no_compiler) == 1, "what failed is not tried again for the next text"
    assert setback() == (
        "nothing can be compiled here (RuntimeError: failed to map segment from shared object); "
        "NumPy computes, more slowly"
    )


def test_a_training_takes_pytorchs_layers_c24(
    no_compiler: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_list, "supports_bfloat16", lambda _: True)
    engines = possible_engines(TINY_TRAINING, torch.device("cpu"), model=TINY_MODEL)
    assert "torch" in {engine.layer for engine in engines}
    assert {engine.layer for engine in engines} == {"torch"}
    for layer in ("sequence", "step"):
        assert not can_compute(Engine(precision="bf16", layer=layer))


def test_what_failed_once_is_not_tried_again() -> None:
    assert made_or_none(lambda: 5) == 5
    assert made_or_none(lambda: 1 // 0) is None
    assert made_or_none(lambda: 5) is None, "it is not tried again"


def run(folder: Path, kind: str, *arguments: str) -> tuple[str, str]:
    """Runs a command where nothing can be compiled; returns its output and its complaints."""
    changes, missing = BROKEN[kind]
    surroundings = {**forked.environment(), **changes}
    if missing:
        (folder / missing).mkdir()
        (folder / missing / "__init__.py").write_text(NO_NUMBA, encoding="utf-8")
        surroundings["PYTHONPATH"] = f"{folder}:{surroundings['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "tui", *arguments],
        capture_output=True,
        text=True,
        env={**surroundings, "HOME": str(folder), "CHARLM_CHECKPOINTS": str(folder / "runs")},
        cwd=folder,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize("streams", [1, 5])
@pytest.mark.parametrize("kind", BROKEN)
def test_generate_writes_all_of_a_text_and_warns_once_c24(
    kind: str, streams: int, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.safetensors"
    write_checkpoint(path, make_checkpoint(model=ModelConfig(hidden=32)))
    words = ["generate", "--checkpoint", str(path), "--length", str(LENGTH), "--json"]
    output, complaint = run(tmp_path, kind, *words, "--streams", str(streams), "--seed", "1")
    records = [json.loads(line) for line in output.splitlines()]
    assert [len(record["text"]) for record in records] == [LENGTH] * streams
    assert complaint.count("nothing can be compiled here") == 1
    assert len(complaint.splitlines()) == 1


@pytest.mark.parametrize("kind", slowly(BROKEN))
def test_train_works_where_nothing_can_be_compiled_c24(kind: str, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat and ate a rat.\n" * 60, encoding="utf-8")
    words = ["--batch", "2", "--sequence", "16", "--hidden", "32", "--epochs", "1", "--json"]
    output, _ = run(tmp_path, kind, "train", str(text), *words)
    assert json.loads(output.splitlines()[-1])["reason"] == "completed"
