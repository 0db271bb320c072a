"""What whoever forges a checkpoint, with right checksums, may put into it; and a script that tries.

Arguments of the script: a folder, a first number, a step: of all forgeries it tries every so many.
It resumes each in a child of a process that has imported torch, so that one that is not refused
meets the optimisers and the kernels, and prints what came of each as lines of JSON.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import forked
import numpy as np
from model_fixtures import make_request, write_forged

from model.config import ModelConfig
from model.runs.checkpoint import Checkpoint, describe_metadata
from model.runs.checkpoint_file import read_checkpoint
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun
from tui.cli.main import run

Record = dict[str, Any]
Arrays = dict[str, np.ndarray[Any, Any]]
Forge = Callable[[Arrays, Record], None]

ODD_VALUES: dict[str, Any] = {
    "nan": float("nan"),
    "infinite": float("inf"),
    "negative": -5,
    "huge": 10**30,
    "endless": 1e300,
    "text": "seven",
    "list": [-1, "a"],
    "object": {},
    "null": None,
    "truth": True,
    "half": 1.5,
}
WIDE = 4096
"""Units of a state for a network of 8: kernels that believe it read far behind it."""


def of_tensors(checkpoint: Checkpoint) -> Iterator[tuple[str, Forge]]:
    """Yields a name and a forgery, for each tensor in each way."""
    for name, array in checkpoint.tensors.items():
        for way, change in _changes(array).items():
            yield f"{name} {way}", _put(name, change)
        yield f"{name} missing", _missing(name)
        yield f"{name} twice", _put(f"{name}.again", array.copy)
    for prefix in ("optimiser.", "average.", "weights."):
        yield f"{prefix}* one short", _every(prefix)
    for name in ("random.numpy", "optimiser.head.bias.momentum", "state.more", "x"):
        yield f"{name} added", _put(name, lambda: np.zeros(8, np.float32))


def _changes(array: np.ndarray[Any, Any]) -> dict[str, Callable[[], Any]]:
    flat = array.reshape(-1)
    ways: dict[str, Callable[[], Any]] = {
        "one short": lambda: flat[:-1],
        "empty": lambda: flat[:0],
        "with a dimension more": lambda: array[None],
        "wide": lambda: np.zeros((*array.shape[:-1], WIDE), array.dtype),
        "doubles": lambda: array.astype(np.float64),
        "halves": lambda: array.astype(np.float16),
        "integers": lambda: array.astype(np.int32),
        "as bytes": lambda: array.view(np.uint8) if array.dtype != np.uint8 else flat[:8],
    }
    if array.dtype == np.float32:
        for word, value in (("nan", np.nan), ("infinite", np.inf)):
            ways[word] = partial(_with, array, value)
    else:
        ways["random bytes"] = lambda: np.random.default_rng(1).integers(0, 256, array.shape, "u1")
        ways["all ones"] = lambda: np.full_like(array, 255)
        ways["words past the end"] = lambda: _past_the_end(array)
    return ways


def _with(array: np.ndarray[Any, Any], value: float) -> np.ndarray[Any, Any]:
    spoilt = array.copy()
    spoilt.reshape(-1)[-1] = value
    return spoilt


def _past_the_end(state: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Each of its counts is one that PyTorch takes; together they read behind the words."""
    forged = state.copy()
    forged[8:12] = np.array([600], np.int32).view(np.uint8)
    forged[16:24] = np.array([600], np.uint64).view(np.uint8)
    return forged


def _put(name: str, make: Callable[[], Any]) -> Forge:
    def forge(tensors: Arrays, _record: Record) -> None:
        tensors[name] = make()

    return forge


def _missing(name: str) -> Forge:
    def forge(tensors: Arrays, _record: Record) -> None:
        del tensors[name]

    return forge


def _every(prefix: str) -> Forge:
    def forge(tensors: Arrays, _record: Record) -> None:
        for name in tensors:
            if name.startswith(prefix):
                tensors[name] = tensors[name].reshape(-1)[:-1]

    return forge


def of_fields(record: Record) -> Iterator[tuple[str, Forge]]:
    """Yields a name and a forgery, for each value of the metadata in each way."""
    for path in _paths(record):
        name = ".".join(path)
        for way, value in ODD_VALUES.items():
            yield f"{name} {way}", _set(path, value)
        yield f"{name} absent", _drop(path)


def _paths(record: Record, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in record.items():
        yield (*before, key)
        if isinstance(value, dict):
            yield from _paths(value, (*before, key))


def _holder(record: Record, path: tuple[str, ...]) -> Record:
    for key in path[:-1]:
        record = record[key]
    return record


def _set(path: tuple[str, ...], value: object) -> Forge:
    def forge(_tensors: Arrays, record: Record) -> None:
        _holder(record, path)[path[-1]] = value

    return forge


def _drop(path: tuple[str, ...]) -> Forge:
    def forge(_tensors: Arrays, record: Record) -> None:
        del _holder(record, path)[path[-1]]

    return forge


def all_of(checkpoint: Checkpoint) -> list[tuple[str, Forge]]:
    """Returns every forgery of a checkpoint, under its name."""
    record = describe_metadata(checkpoint.metadata)
    return [*of_tensors(checkpoint), *of_fields(record)]


def write(path: Path, checkpoint: Checkpoint, forge: Forge) -> None:
    """Puts a forged checkpoint in the place of a whole one."""
    tensors = dict(checkpoint.tensors)
    record = copy.deepcopy(describe_metadata(checkpoint.metadata))
    forge(tensors, record)
    write_forged(path, dataclasses.replace(checkpoint, tensors=tensors), record)


def outcome_of(arguments: list[str]) -> Callable[[Callable[[str], None]], None]:
    """Returns the work of a child: a command line, of which it tells status and complaint."""

    def child(tell: Callable[[str], None]) -> None:
        complaint = io.StringIO()
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(io.StringIO()):
            status = run(arguments)
        tell(json.dumps([status, complaint.getvalue()]))

    return child


def main() -> None:
    """Trains a little, then forges and resumes."""
    folder, first, every = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    forked.warm_up()
    request = make_request(folder, model=ModelConfig(hidden=8, layers=2, embedding=4), epochs=2)
    controls = TrainingControls()
    for event in TrainingRun(request, controls).events():
        if getattr(event, "step", 0) == 5:
            controls.stop()
    os.chdir(folder)
    [path] = (folder / "runs" / "tiny").glob("step-*.safetensors")
    whole = read_checkpoint(path)
    good = path.read_bytes()
    commands = {
        "resume": ["train", "--resume", "--run", "tiny", "--checkpoints", "runs", "--json"],
        "generate": ["generate", "--checkpoint", str(path), "--length", "1"],
        "export": [
            "export",
            "tiny",
            "--checkpoints",
            "runs",
            "--output",
            "x.safetensors",
            "--force",
        ],
        "evaluate": ["evaluate", "--run", "tiny", "--checkpoints", "runs"],
    }
    for number, (name, forge) in enumerate(all_of(whole)):
        if number % every != first:
            continue
        write(path, whole, forge)
        for command, arguments in commands.items():
            if command != "resume" and (number // every) % 8:
                continue
            process, reading = forked.begin(outcome_of(arguments))
            with os.fdopen(reading, encoding="utf-8") as lines:
                told = lines.read().splitlines()
            status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            said = json.loads(told[-1]) if told else [None, ""]
            died = signal.Signals(-status).name if status < 0 else None
            print(json.dumps([name, command, said[0], said[1], died]), flush=True)
        for other in path.parent.glob("step-*"):
            other.unlink()
        path.write_bytes(good)


if __name__ == "__main__":
    main()
