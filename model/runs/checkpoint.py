"""A checkpoint's values: metadata and tensors, and the metadata as JSON. NumPy, no torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from corpus import Vocabulary
from corpus.files.json_values import odd, real, record, text, whole
from model.config import ConfigT, ModelConfig, TrainingConfig, from_record, to_record
from model.errors import ConfigError
from model.network import parameters
from model.network.published import PublishedWeights
from model.network.snapshot import WeightSnapshot
from model.runs.checkpoint_form import (
    AVERAGE_PREFIX,
    WEIGHT_PREFIX,
    Listed,
    Tensors,
    require_progress,
)
from model.runs.corpus_record import CorpusRecord

FORMAT_VERSION = 1
MAX_SECONDS = 1e12
"""Longest training time that metadata may state."""

MeasuredOn = tuple[object, ...]
"""The text and the method of a validation. Losses are comparable only if these are equal."""


def measured_on(source: CorpusRecord, training: TrainingConfig) -> MeasuredOn:
    """Returns what identifies the held-out text and the method of scoring it."""
    by_windows = (training.sequence, training.window_stride) if training.scoring == "last" else ()
    return (source.sha256, training.validation_fraction, training.scoring, *by_windows)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMetadata:
    """The facts about a checkpoint that can be read without its tensors."""

    run: str
    step: int
    epoch: int
    nats_per_character: float | None
    """Validation loss of exactly these weights; None if they were not validated."""
    best_nats_per_character: float | None
    """Lowest validation loss of the run up to this step, nats per character."""
    seconds: float
    """Training time up to this step, seconds."""
    preset: str
    model: ModelConfig
    training: TrainingConfig
    vocabulary: Vocabulary
    source: CorpusRecord
    progress: Mapping[str, Any]
    """The trainer's counters and random states, as plain values for JSON."""

    @property
    def measured_on(self) -> MeasuredOn:
        """The text and the method behind its losses; only losses with equal ones are comparable."""
        return measured_on(self.source, self.training)

    @property
    def best(self) -> bool:
        """Whether these weights had the lowest validation loss of the run when they were saved."""
        return (
            self.nats_per_character is not None
            and self.nats_per_character == self.best_nats_per_character
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Metadata, and tensors by name. The names of the network's tensors begin with ``weights.``."""

    metadata: CheckpointMetadata
    tensors: Tensors

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Returns the weights to resume training from, named as in the network's state dict."""
        return without_prefix(self.tensors, WEIGHT_PREFIX)

    def best_weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Returns the weights for sampling and scoring: the averaged ones if they were better."""
        if self.metadata.progress.get("average_leads"):
            return without_prefix(self.tensors, AVERAGE_PREFIX)
        return self.weights()

    def snapshot(self) -> WeightSnapshot:
        """Returns the best weights in the form that the sampler takes."""
        engine = self.metadata.progress.get("engine", {})
        return parameters.weight_snapshot(
            self.metadata.model,
            self.best_weights(),
            step=self.metadata.step,
            precision=engine.get("precision", "fp32"),
        )

    def published(self) -> PublishedWeights:
        """Returns the best weights, with their vocabulary, for a sampler."""
        return PublishedWeights(
            snapshot=self.snapshot(),
            vocabulary=self.metadata.vocabulary,
            window=self.metadata.training.window,
            best=self.metadata.best,
        )


def without_prefix(tensors: Tensors, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """Returns the tensors whose names begin with ``prefix``, under the rest of their names."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


class LaterFormatError(Exception):
    """A later version wrote the metadata. The message is the number of its format."""


def describe_metadata(metadata: CheckpointMetadata) -> dict[str, Any]:
    """Returns metadata as plain values for JSON."""
    return {
        "format": FORMAT_VERSION,
        "run": metadata.run,
        "step": metadata.step,
        "epoch": metadata.epoch,
        "nats_per_character": metadata.nats_per_character,
        "best_nats_per_character": metadata.best_nats_per_character,
        "seconds": metadata.seconds,
        "preset": metadata.preset,
        "model": to_record(metadata.model),
        "training": to_record(metadata.training),
        "vocabulary": "".join(metadata.vocabulary.symbols),
        "corpus": metadata.source.to_record(),
        "progress": dict(metadata.progress),
    }


def parse_metadata(description: str, listing: Mapping[str, Listed]) -> CheckpointMetadata:
    """Returns the metadata that `describe_metadata` encoded, after checking every value.

    Args:
        description: JSON.
        listing: types and shapes of the checkpoint's tensors, by name.

    Raises:
        LaterFormatError: the metadata were written by a later version.
        ValueError: a value is not valid; or KeyError, TypeError, AttributeError, OverflowError,
            RecursionError.
    """
    values = record("metadata", json.loads(description, parse_constant=_refuse_constant))
    version = whole("format", values["format"], 1)
    if version > FORMAT_VERSION:
        raise LaterFormatError(version)
    step, epoch = whole("step", values["step"]), whole("epoch", values["epoch"])
    progress = record("progress", values["progress"])
    require_progress(progress, step=step, epoch=epoch, resumable=is_resumable(listing))
    nats = _nats("nats_per_character", values)
    best = _nats("best_nats_per_character", values)
    if nats is not None and (best is None or best > nats):
        raise ValueError(odd("best_nats_per_character", best))
    return CheckpointMetadata(
        run=text("run", values["run"]),
        step=step,
        epoch=epoch,
        nats_per_character=nats,
        best_nats_per_character=best,
        seconds=real("seconds", values["seconds"], 0, MAX_SECONDS),
        preset=text("preset", values["preset"]),
        model=_settings(ModelConfig, values["model"]),
        training=_settings(TrainingConfig, values["training"]),
        vocabulary=Vocabulary.from_symbols(text("vocabulary", values["vocabulary"])),
        source=CorpusRecord.from_record(record("corpus", values["corpus"])),
        progress=progress,
    )


def is_resumable(listing: Mapping[str, Listed]) -> bool:
    """Returns whether training can be resumed from these tensors; otherwise they are weights."""
    return any(not name.startswith((WEIGHT_PREFIX, AVERAGE_PREFIX)) for name in listing)


def _refuse_constant(name: str) -> NoReturn:
    """Refuses NaN and the infinities, which Python's JSON parser accepts."""
    raise ValueError(f"a number is {name}")


def _nats(name: str, values: Mapping[str, Any]) -> float | None:
    value = values[name]
    return None if value is None else real(name, value, 0, sys.float_info.max)


def _settings(kind: type[ConfigT], values: object) -> ConfigT:
    try:
        return from_record(kind, dict(record(kind.__name__, values)))
    except ConfigError as error:
        raise ValueError(f"{error.subject.removeprefix('--')}: {error.cause}") from error
