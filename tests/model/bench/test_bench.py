"""The benchmark's rows: turns, medians, ratios, and that every way really works."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest
import torch

from model.bench.keras import fits, keras_fit, keras_is_installed, keras_predict
from model.bench.rows import OURS, Implementation, Row, Task, compare
from model.bench.sampling import sampling_implementations
from model.bench.stock_loops import stock_implementation
from model.bench.stock_process import (
    OURS_ALONE,
    environment_of_others,
    level_in_words,
    library_limits,
    stock_names,
    stock_process,
)
from model.bench.training import device_tasks, operations_per_character, training_implementations
from model.errors import ChildEnded

SMALL = Task(kind="training", hidden=8, layers=2, width=4)


def test_ways_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []
    rates = {OURS: iter([9.0, 10.0, 30.0, 20.0]), "other": iter([9.0, 5.0, 6.0, 10.0])}

    def named(name: str) -> Implementation:
        def way(_: float) -> float:
            order.append(name)
            return next(rates[name])

        return way

    ours, other = compare(SMALL, {name: named(name) for name in rates}, rounds=3, span=1.0)
    assert order == [OURS, "other"] * 4
    assert (ours.characters_per_second, ours.spread, ours.ratio) == (20, (10, 30), 1)
    assert (other.characters_per_second, other.spread) == (6, (5, 10))
    assert other.ratio == 2, "the median of 10/5, 30/6 and 20/10, not the ratio of the medians"


def test_a_record_names_the_width_by_the_kind() -> None:
    row = Row(task=SMALL, way="x", characters_per_second=1.0, spread=(1.0, 1.0), ratio=2.0)
    assert list(row.record()) == [
        *("kind", "hidden", "layers", "batch", "way", "characters_per_second", "spread", "ratio")
    ]
    writing = Task(kind="sampling", hidden=8, layers=1, width=1)
    row = Row(task=writing, way="x", characters_per_second=1.0, spread=(1.0, 1.0), ratio=2.0)
    assert row.record()["streams"] == 1


def test_the_operations_are_those_of_all_products() -> None:
    one = Task(kind="training", hidden=512, layers=1, width=32)
    assert operations_per_character(one) == 24 * 512**2 + 6 * 512 * 96
    two = Task(kind="training", hidden=512, layers=2, width=32)
    assert operations_per_character(two) - operations_per_character(one) == 48 * 512**2


@pytest.mark.parametrize("layers", [1, 2])
def test_every_way_of_training_makes_steps(layers: int) -> None:
    task = Task(kind="training", hidden=8, layers=layers, width=4)
    with ExitStack() as resources:
        rows = list(compare(task, training_implementations(task, resources), rounds=1, span=0.01))
    ways = {OURS, "limit-fp32", "limit-packed"}
    assert ways <= {row.way for row in rows} <= {*ways, "limit-bf16"}
    assert all(row.characters_per_second > 0 for row in rows)


def test_every_stock_way_works_in_a_process_of_its_own() -> None:
    """It answers until it is not asked any more; another task takes the place of the one before."""
    training = Task(kind="training", hidden=8, layers=2, width=4)
    writing = dataclasses.replace(training, kind="sampling", width=3)
    with stock_process() as stock:
        for task, names in ((training, ["nn.LSTM"]), (writing, ["nn.LSTM", "nn.LSTMCell"])):
            implementations = stock.implementations(task)
            assert list(implementations) == names
            assert all(way(0.01) > 0 for way in implementations.values())


def test_the_stock_process_has_none_of_our_settings() -> None:
    """But all that the program sets for itself when it is imported, and no more."""
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    before = {name: value for name, value in os.environ.items() if name not in OURS_ALONE}

    def environment(code: str) -> dict[str, str]:
        command = [sys.executable, "-c", code]
        told = subprocess.run(command, env=before, capture_output=True, text=True, check=True)
        return dict(json.loads(told.stdout))

    ours = environment("import tui.cli.main; " + code)
    assert set(ours) - set(before) == set(OURS_ALONE)
    assert environment_of_others(ours) == environment(code)


@pytest.mark.parametrize(
    ("simd", "isa"), [("avx2", "AVX2"), ("avx512", "AVX512_CORE_VNNI"), ("amx", None)]
)
def test_a_lowered_simd_level_limits_the_libraries_alike(
    simd: str, isa: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = ("sse2", "avx2", "avx512", "avx512bf16", "amx")
    monkeypatch.setattr("model.bench.stock_process.LEVELS", levels)
    monkeypatch.setattr("model.bench.stock_process.SIMD", simd)
    assert library_limits().get("ONEDNN_MAX_CPU_ISA") == isa
    assert (f"SIMD level {simd}" in level_in_words()) == (isa is not None)
    assert library_limits().keys() == (
        {"ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"} if isa else set()
    )


def test_a_stock_process_that_ends_is_an_error() -> None:
    unknown = dataclasses.replace(SMALL, device="nowhere")
    with (
        stock_process() as stock,
        pytest.raises(ChildEnded, match=r"stock implementations: ended with status 1: .*nowhere"),
    ):
        stock.implementations(unknown)


def test_a_card_stands_beside_the_stock_loop_on_the_same_card() -> None:
    for task in device_tasks():
        small = dataclasses.replace(task, hidden=8, width=min(task.width, 4))
        with ExitStack() as resources:
            training = task.kind == "training"
            implementations = (
                training_implementations(small, resources)
                if training
                else sampling_implementations(small)
            )
            implementations = {
                **implementations,
                **{name: stock_implementation(small, name) for name in stock_names(small)},
            }
            rows = list(compare(small, implementations, rounds=1, span=0.01))
        assert [row.way for row in rows] == [OURS, "nn.LSTM"]
        assert rows[0].record()["device"] == task.device
    cards = torch.cuda.is_available() + torch.backends.mps.is_available()
    assert len(device_tasks()) == 4 * cards


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("streams", [1, 9])
def test_every_way_of_writing_writes(layers: int, streams: int) -> None:
    task = Task(kind="sampling", hidden=8, layers=layers, width=streams)
    rows = list(compare(task, sampling_implementations(task), rounds=1, span=0.01))
    assert [row.way for row in rows] == [OURS, "limit-fp32"]
    assert all(row.characters_per_second > 0 for row in rows)


def test_keras_stands_beside_the_notebooks_own_shape_alone() -> None:
    shape: dict[str, Any] = {"hidden": 128, "layers": 1}
    assert fits(Task(kind="training", width=32, **shape))
    assert fits(Task(kind="sampling", width=1, **shape))
    assert not fits(Task(kind="training", width=64, **shape))
    assert not fits(Task(kind="sampling", width=32, **shape))
    assert not fits(Task(kind="training", hidden=512, layers=1, width=32))


@pytest.mark.skipif(not keras_is_installed(), reason="Keras with TensorFlow is not installed")
def test_keras_trains_and_writes() -> None:
    assert keras_fit(12)(0.01) > 0
    assert keras_predict(12)(0.01) > 0
