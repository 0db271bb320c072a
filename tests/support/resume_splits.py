"""Trains straight, and interrupted at random steps, and compares what can be compared. A script.

Arguments: a folder, how many splits for each engine, how many straight runs, a seed. The last line
that it prints is JSON. Every training has a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import forked
import torch
from model_fixtures import TickingClock, make_request, make_text

from model.compute.device import Machine
from model.compute.engine import Engine
from model.config import ModelConfig, SamplingConfig
from model.events import SampleRecorded, StepFinished, Validated
from model.runs.checkpoint import Checkpoint
from model.runs.folder import RunFolder
from model.sampling.stream import CharacterStream
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun

ENGINES = {
    "1 thread": Engine(precision="fp32"),
    "2 threads": Engine(precision="fp32", batch_shards=2),
}
MODEL = ModelConfig(hidden=8, layers=2, embedding=4, dropout=0.2)
TEXT = make_text(2400)
EPOCHS = 4
NEXT_BATCHES = 100
CHARACTERS = 500

Told = dict[str, Any]


def train(folder: Path, engine: Engine, *, until: int | None, resume: bool) -> Told:
    """Trains to the planned end or to a step, and returns what it did and what it left."""
    request = make_request(
        folder,
        text=TEXT,
        model=MODEL,
        resume=resume,
        epochs=EPOCHS,
        threads=engine.threads,
        reset_probability=0.2,
        weight_dropout=0.1,
        embedding_dropout=0.1,
        sample_length=CHARACTERS // 4,
        fresh_sample_prompts=True,
    )
    controls = TrainingControls()
    run = TrainingRun(request, controls, clock=TickingClock(1e-4))
    done: list[list[object]] = []
    for event in run.events():
        if isinstance(event, StepFinished):
            done.append([event.step, event.loss, event.learning_rate, event.gradient_norm])
            if event.step == until:
                controls.stop(hurry=True)
        elif isinstance(event, Validated):
            done.append([event.step, event.nats_per_character])
        elif isinstance(event, SampleRecorded):
            done.append([event.step, event.temperature, event.prompt, event.text])
    checkpoint = RunFolder(folder / "runs" / "tiny").checkpoints.load_latest(_fail)
    return {
        "done": done,
        "state": digest_of(checkpoint),
        "batches": digest_of_batches(run),
        "text": written(checkpoint),
    }


def digest_of(checkpoint: Checkpoint) -> str:
    """Returns a hash of all that the next step depends on."""
    progress = json.dumps(checkpoint.metadata.progress, sort_keys=True)
    digest = hashlib.sha256(f"{checkpoint.metadata.step} {progress}".encode())
    for name in sorted(checkpoint.tensors):
        tensor = checkpoint.tensors[name]
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode() + tensor.tobytes())
    return digest.hexdigest()


def digest_of_batches(run: TrainingRun) -> str:
    """Returns a hash of the batches that would come next."""
    digest = hashlib.sha256()
    for _ in range(NEXT_BATCHES):
        batch = run._trainer._batches.next()
        digest.update(batch.inputs.tobytes() + batch.targets.tobytes())
    return digest.hexdigest()


def written(checkpoint: Checkpoint) -> str:
    """Returns what the weights write."""
    stream = CharacterStream(
        checkpoint.snapshot(),
        checkpoint.metadata.vocabulary,
        sampling=SamplingConfig(),
        seed=5,
        prompt="the ",
    )
    return "".join(event.character for event in islice(stream, CHARACTERS))


def _fail(warning: str) -> None:
    raise AssertionError(warning)


def in_a_child(folder: Path, engine: Engine, **how: Any) -> Told:
    """Trains in a process of its own; a new run takes the engine, a resumed one remembers it."""

    def child(tell: Callable[[str], None]) -> None:
        machine = Machine(device=torch.device("cpu"), engine=engine)
        if how["resume"]:
            tell(json.dumps(train(folder, engine, **how)))
        else:
            with mock.patch("model.training.training_run.choose_machine", lambda *_, **__: machine):
                tell(json.dumps(train(folder, engine, **how)))

    told: Told = json.loads(forked.finish(child)[-1])
    return told


def main() -> None:
    root, splits, straight_runs = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    places = random.Random(int(sys.argv[4]))
    forked.warm_up()
    found: Told = {"splits": 0, "differing": [], "hashes": {}, "steps": 0, "sampled": 0}
    for number, (name, engine) in enumerate(ENGINES.items()):
        folder = root / str(number)
        runs = [
            in_a_child(folder / f"straight-{count}", engine, until=None, resume=False)
            for count in range(straight_runs)
        ]
        straight = runs[0]
        found["hashes"][name] = len({json.dumps(run) for run in runs})
        last = straight["done"][-1][0]
        for split in sorted(places.sample(range(1, last), splits)):
            half = in_a_child(folder / str(split), engine, until=split, resume=False)
            rest = in_a_child(folder / str(split), engine, until=None, resume=True)
            expected = {**straight, "done": [d for d in straight["done"] if d[0] > split]}
            # What an epoch ends with may come after the interruption or have come before it.
            rest["done"] = [d for d in rest["done"] if d[0] > split]
            found["splits"] += 1
            found["steps"] += sum(len(d) == 4 and d[1] != d[2] for d in rest["done"])
            found["sampled"] += len(rest["text"])
            if rest != expected or half["state"] == straight["state"]:
                found["differing"].append([name, split])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
