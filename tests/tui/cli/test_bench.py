"""What `bench` prints, with work so small that it tests nothing of speed."""

from __future__ import annotations

import json
import math

import pytest

from model.bench.rows import Task
from tui.cli.commands.bench import TASKS, run

SMALL = (
    Task(kind="training", hidden=8, layers=1, width=4),
    Task(kind="sampling", hidden=8, layers=1, width=5),
)


def test_json_has_a_row_for_each_way(capsys: pytest.CaptureFixture[str]) -> None:
    run(SMALL, rounds=2, span=0.005, seconds=math.inf, as_json=True)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(row["kind"], row["way"]) for row in rows} >= {
        ("training", "ours"),
        ("training", "nn.LSTM"),
        ("training", "limit-fp32"),
        ("sampling", "ours"),
        ("sampling", "nn.LSTM"),
        ("sampling", "nn.LSTMCell"),
        ("sampling", "limit-fp32"),
    }
    for row in rows:
        least, most = row["spread"]
        assert least <= row["characters_per_second"] <= most
        assert row["ratio"] > 0
        assert (row["way"] == "ours") <= (row["ratio"] == 1)


def test_the_table_names_machine_task_and_way(capsys: pytest.CaptureFixture[str]) -> None:
    run(SMALL[1:], rounds=1, span=0.005, seconds=math.inf, as_json=False)
    shown = capsys.readouterr().out
    assert "cores" in shown.splitlines()[0]
    assert "sampling 1x8, streams 5" in shown
    assert "nn.LSTMCell" in shown


def test_the_shapes_are_those_of_the_documents() -> None:
    assert {(task.kind, task.hidden, task.layers, task.width) for task in TASKS} == {
        *(("training", h, n, b) for h, n in ((128, 1), (512, 1), (512, 2)) for b in (32, 64)),
        ("training", 256, 1, 32),
        *(("sampling", h, n, s) for h, n in ((128, 1), (512, 1), (512, 2)) for s in (1, 32)),
    }


def test_what_a_bounded_run_leaves_out_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    run(SMALL, rounds=1, span=0.005, seconds=0.0, as_json=True)
    printed = capsys.readouterr()
    kinds = {json.loads(line)["kind"] for line in printed.out.splitlines()}
    assert kinds == {"training"}, "the first one is always measured"
    assert "left out to end after 0 seconds: sampling 1x8, streams 5" in printed.err
