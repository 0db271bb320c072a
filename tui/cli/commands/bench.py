"""``charlm-tui bench``: how fast this machine trains and writes, beside stock loops."""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from model.bench.rows import Kind, Row, Task, compare
from model.bench.stock_process import level_in_words, library_limits, stock_process
from model.config import require_range
from model.system.compiled_code import setback
from model.system.cores import usable_cores
from model.system.torch_import import require_torch
from tui.cli.options import json_option
from tui.console.exit_status import complain
from tui.console.output import say_json
from tui.console.table import print_table

SHAPES = ((128, 1), (512, 1), (512, 2))
_WORK: tuple[tuple[Kind, int], ...] = (
    ("training", 32), ("training", 64), ("sampling", 1), ("sampling", 32),
)  # fmt: skip
"""Kinds of work with their widths."""
TASKS = (
    *(
        Task(kind=kind, hidden=hidden, layers=layers, width=width)
        for hidden, layers in SHAPES
        for kind, width in _WORK
    ),
    Task(kind="training", hidden=256, layers=1, width=32),
)
"""By shape, the smallest first: a quick run on a slow machine leaves out the largest."""
ROUNDS, SPAN = 5, 0.8
QUICK_ROUNDS, QUICK_SPAN = 3, 0.2
QUICK_SECONDS = 60.0


@click.command()
@click.option(
    "--quick",
    is_flag=True,
    help=f"Stop after about {QUICK_SECONDS:g} seconds, at lower accuracy, and name what was left "
    "out.",
)
@click.option(
    "--rounds",
    type=int,
    default=None,
    metavar="N",
    help="Number of rounds (default: 5; with --quick: 3).",
)
@json_option
def bench(*, quick: bool, rounds: int | None, as_json: bool) -> None:
    """Compare the speed of training and writing with stock PyTorch.

    The rows named limit give the speed of the matrix products alone. Stock PyTorch runs in a
    separate process, without the settings that this program makes for its screen. Each method is
    timed once per round. The table shows the median, the spread, and the median ratio of our rate
    to the method's.
    """
    if rounds is not None:
        require_range("rounds", rounds, 1, 1000)
    rounds = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    os.environ |= library_limits()  # before torch, which reads them
    require_torch()
    from model.bench.training import device_tasks  # noqa: PLC0415 - torch takes two seconds

    run(
        (*TASKS, *device_tasks()),
        rounds=rounds,
        span=QUICK_SPAN if quick else SPAN,
        seconds=QUICK_SECONDS if quick else math.inf,
        as_json=as_json,
    )


def run(
    tasks: tuple[Task, ...], *, rounds: int, span: float, seconds: float, as_json: bool
) -> None:
    """Measures the tasks; prints each row as JSON when it is known, or a table at the end.

    A task is left out if it would end after ``seconds``, should it take as long as the longest
    one before it. The first one is always measured.
    """
    # Torch takes two seconds.
    from model.bench.sampling import sampling_implementations  # noqa: PLC0415
    from model.bench.training import training_implementations  # noqa: PLC0415

    rows: list[Row] = []
    left_out: list[Task] = []
    began, longest = time.monotonic(), 0.0
    with stock_process() as stock:
        for number, task in enumerate(tasks, 1):
            task_began = time.monotonic()
            if longest and task_began - began + longest > seconds:
                left_out.append(task)
                continue
            if sys.stderr.isatty():
                progress = f"{number} of {len(tasks)}: {_describe(task)}"
                print(f"\r\x1b[K{progress}", end="", file=sys.stderr)
            with ExitStack() as resources:
                # First, because ours are tuned while nothing else may run.
                theirs = stock.implementations(task)
                ours = (
                    training_implementations(task, resources)
                    if task.kind == "training"
                    else sampling_implementations(task)
                )
                for row in compare(task, {**ours, **theirs}, rounds=rounds, span=span):
                    rows.append(row)
                    if as_json:
                        say_json(row.record())
            longest = max(longest, time.monotonic() - task_began)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    if note := setback():
        complain(note)
    if left_out:
        names = "; ".join(map(_describe, left_out))
        complain(f"left out to end after {seconds:g} seconds: {names}")
    if not as_json:
        print(machine_in_words())
        print_table(
            ("what", "way", "characters/s", "least", "most", "ours is x times"),
            [_cells(row) for row in rows],
        )


def _describe(task: Task) -> str:
    shape = f"{task.layers}x{task.hidden}"
    where = "" if task.device == "cpu" else f" on {task.device}"
    return f"{task.kind} {shape}, {task.width_name} {task.width}{where}"


def _cells(row: Row) -> tuple[str, ...]:
    rates: tuple[Any, ...] = (row.characters_per_second, *row.spread)
    return (
        _describe(row.task),
        row.way,
        *(f"{rate:,.0f}" for rate in rates),
        f"{row.ratio:.2f}",
    )


def machine_in_words() -> str:
    """Returns a line that describes the machine."""
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    machine = f"{name}, {usable_cores()} cores, {platform.system()} {platform.machine()}"
    return "; ".join(part for part in (machine, level_in_words()) if part)
