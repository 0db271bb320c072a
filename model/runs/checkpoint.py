"""A checkpoint's values: metadata, tensors, and the weights to write with. NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from corpus import Vocabulary
from model.config import ModelConfig, TrainingConfig
from model.network import parameters
from model.network.published import Publication
from model.network.snapshot import WeightSnapshot
from model.runs.checkpoint_form import (
    AVERAGE_PREFIX,
    WEIGHT_PREFIX,
    Tensors,
)
from model.runs.corpus_record import CorpusSource

MeasuredOn = tuple[object, ...]
"""Two validation losses can be compared where these are equal."""


def measured_on(source: CorpusSource, training: TrainingConfig) -> MeasuredOn:
    """Returns which held-out text is scored, and how."""
    by_windows = (training.sequence, training.window_stride) if training.scoring == "last" else ()
    return (source.sha256, training.validation_fraction, training.scoring, *by_windows)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMetadata:
    """What can be known of a checkpoint without reading its tensors."""

    run: str
    step: int
    epoch: int
    nats_per_character: float | None
    """Validation loss of these very weights; None where they were not validated."""
    best_nats_per_character: float | None
    """Lowest validation loss of the run up to this step."""
    seconds: float
    """Training time up to this step."""
    preset: str
    model: ModelConfig
    training: TrainingConfig
    vocabulary: Vocabulary
    source: CorpusSource
    progress: Mapping[str, Any]
    """The trainer's own counters and random states, plain values for JSON."""

    @property
    def measured_on(self) -> MeasuredOn:
        """What its validation losses were measured on; others can be compared with no others."""
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
    """Metadata, and tensors under their names; those of the network begin with ``weights.``."""

    metadata: CheckpointMetadata
    tensors: Tensors

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Returns the weights that training goes on from, named as in the network's state dict."""
        return without_prefix(self.tensors, WEIGHT_PREFIX)

    def best_weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Returns those to write and to score with: averaged ones where they were the better."""
        if self.metadata.progress.get("average_leads"):
            return without_prefix(self.tensors, AVERAGE_PREFIX)
        return self.weights()

    def snapshot(self) -> WeightSnapshot:
        """Returns the weights as the sampler wants them."""
        engine = self.metadata.progress.get("engine", {})
        return parameters.weight_snapshot(
            self.best_weights(),
            step=self.metadata.step,
            precision=engine.get("precision", "fp32"),
        )

    def published(self) -> Publication:
        """Returns the weights that are the better to write with."""
        return Publication(
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
