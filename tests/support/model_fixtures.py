"""Tiny real things for the tests of `model`: a text, weights, a checkpoint, a request, a clock."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from corpus import Corpus, Vocabulary
from model.config import ModelConfig, TrainingConfig
from model.events import Event
from model.network.parameters import parameter_shapes, state_shapes
from model.network.snapshot import LstmSnapshot
from model.runs import checkpoint_file as checkpoint_module
from model.runs.checkpoint import Checkpoint, CheckpointMetadata, describe_metadata
from model.runs.checkpoint_form import (
    AVERAGE_PREFIX,
    CPU_RANDOM,
    CPU_RANDOM_BYTES,
    SLOTS,
    STATE_PREFIX,
    WEIGHT_PREFIX,
)
from model.runs.corpus_record import CorpusRecord
from model.runs.request import RunRequest
from model.training.divergence_guard import DivergenceGuard

Weights = dict[str, npt.NDArray[np.float32]]
EventT = TypeVar("EventT")

TINY_MODEL = ModelConfig(hidden=8, embedding=4)
TINY_TRAINING = TrainingConfig(
    batch=4,
    sequence=16,
    learning_rate=0.01,
    warmup_steps=5,
    epochs=2,
    checkpoint_every=1e6,
    device="cpu",
    precision="fp32",
    threads=1,
    sample_length=12,
    sample_prompt=8,
)


def make_text(characters: int = 1200, seed: int = 0) -> str:
    """Returns words in a random order, so that no two places of the text look alike for long."""
    words = ("the", "cat", "sat", "on", "a", "mat", "and", "saw", "rats.\nthen", "it", "ran")
    random = np.random.default_rng(seed)
    text = " ".join(random.choice(words) for _ in range(characters))
    return text[:characters]


TEXT = make_text()
VOCABULARY = Vocabulary.from_symbols(TEXT)


def make_corpus(text: str) -> Corpus:
    """Returns a text of `VOCABULARY` that was never in a file."""
    return Corpus(
        name="text",
        specification="text",
        ids=VOCABULARY.encode(text),
        vocabulary=VOCABULARY,
        sha256="",
    )


def random_weights(
    model: ModelConfig = TINY_MODEL,
    vocabulary_size: int = len(VOCABULARY),
    *,
    seed: int = 0,
    scale: float = 0.6,
) -> Weights:
    random = np.random.default_rng(seed)
    return {
        name: random.normal(scale=scale, size=shape).astype(np.float32)
        for name, shape in parameter_shapes(model, vocabulary_size).items()
    }


def make_snapshot(seed: int = 0, step: int = 1) -> LstmSnapshot:
    return LstmSnapshot.from_weights(random_weights(seed=seed), step=step)


def constant_snapshot(logits: npt.NDArray[np.float64]) -> LstmSnapshot:
    """Returns weights that give these logits whatever was read."""
    weights = random_weights(TINY_MODEL, len(logits))
    weights["head.weight"][:] = 0
    weights["head.bias"][:] = logits
    return LstmSnapshot.from_weights(weights, step=0)


def make_checkpoint(
    step: int = 1,
    *,
    nats: float | None = None,
    best_nats: float | None = None,
    model: ModelConfig = TINY_MODEL,
    training: TrainingConfig = TINY_TRAINING,
    seed: int = 0,
) -> Checkpoint:
    tensors: dict[str, npt.NDArray[Any]] = {
        WEIGHT_PREFIX + name: value for name, value in random_weights(model, seed=seed).items()
    }
    metadata = CheckpointMetadata(
        run="tiny",
        step=step,
        epoch=1,
        nats_per_character=nats,
        best_nats_per_character=nats if best_nats is None else best_nats,
        seconds=1.5,
        preset="quick",
        model=model,
        training=training,
        vocabulary=VOCABULARY,
        source=CorpusRecord(
            name="text.txt",
            specification="text.txt",
            sha256="0" * 64,
            characters=len(TEXT),
            encoding=None,
            lowercase=False,
        ),
        progress={"step": step},
    )
    return Checkpoint(metadata=metadata, tensors=tensors)


def make_training_checkpoint(
    step: int = 7, *, training: TrainingConfig = TINY_TRAINING
) -> Checkpoint:
    """Returns a checkpoint that a training can go on from, made of plain values without torch."""
    random = np.random.default_rng(step)
    checkpoint = make_checkpoint(step, nats=1.25, training=training)
    weights = checkpoint.weights()
    tensors: dict[str, npt.NDArray[Any]] = dict(checkpoint.tensors)
    tensors |= {AVERAGE_PREFIX + name: value * 0.5 for name, value in weights.items()}
    for name, value in weights.items():
        for slot in SLOTS[training.optimiser]:
            shape = (1,) if slot == "step" else value.shape
            moment = random.random(shape, np.float32)
            tensors[f"optimiser.{name}.{slot}"] = moment if slot != "step" else moment * 0 + step
    for name, shape in state_shapes(TINY_MODEL, training.batch).items():
        tensors[STATE_PREFIX + name] = random.random(shape, np.float32)
    generator = np.zeros(CPU_RANDOM_BYTES, np.uint8)
    generator[24:5016] = random.integers(1, 2**32, 624, np.uint64).view(np.uint8)
    generator[[8, 12]] = 1  # fresh from a seed: it makes new words at the first draw
    tensors[CPU_RANDOM] = generator
    progress = {
        "step": step,
        "batches": {
            "epoch": 1,
            "offset": 3,
            "index": min(step, 9),
            "random": np.random.default_rng(1).bit_generator.state,
        },
        "guard": DivergenceGuard().state(),
        "average_leads": True,
        "engine": {"precision": "fp32", "layer": "torch", "shards": 1, "threads_of_a_shard": 1},
        "processes": 1,
        "steps_per_epoch": 15,
        "validation_characters": 262_144,
        "student_since": None,
    }
    metadata = dataclasses.replace(checkpoint.metadata, progress=progress)
    return Checkpoint(metadata=metadata, tensors=tensors)


def write_forged(
    path: Path, checkpoint: Checkpoint, record: dict[str, Any] | None = None, **changes: Any
) -> None:
    """Writes what would not be saved, with checksums that are right, as whoever forges one does."""
    record = describe_metadata(checkpoint.metadata) if record is None else record
    description = json.dumps({**record, **changes})
    tensors = {name: np.ascontiguousarray(value) for name, value in checkpoint.tensors.items()}
    header = {
        "charlm": description,
        "metadata_sha256": hashlib.sha256(description.encode()).hexdigest(),
        "sha256": checkpoint_module._digest(description, tensors),
    }
    path.write_bytes(safetensors.numpy.save(tensors, metadata=header))


def make_request(
    folder: Path,
    *,
    text: str = TEXT,
    model: ModelConfig = TINY_MODEL,
    resume: bool = False,
    weights_only: bool = False,
    overrides: dict[str, Any] | None = None,
    run: str | None = "tiny",
    **training: Any,
) -> RunRequest:
    """Returns a request to train on `text`, which it writes to a file of `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "text.txt"
    if not resume:
        path.write_text(text, encoding="utf-8", newline="")
    return RunRequest(
        corpus=None if resume else str(path),
        preset="quick",
        model=model,
        training=dataclasses.replace(TINY_TRAINING, **training),
        root=folder / "runs",
        run=run,
        resume=resume,
        weights_only=weights_only,
        overrides=overrides or {},
    )


def of_kind(events: Iterable[Event], kind: type[EventT]) -> list[EventT]:
    return [event for event in events if isinstance(event, kind)]


class TickingClock:
    """Each look at it takes `tick` seconds; `now` may also be set forward."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now = 100.0
        self._tick = tick

    def __call__(self) -> float:
        self.now += self._tick
        return self.now


def draw_bfloat16(rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Returns numbers that bfloat16 holds exactly, the same ones for the same shape."""
    numbers = np.random.default_rng(rows * 1000 + columns).standard_normal((rows, columns))
    bits = numbers.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return bits.view(np.float32)
