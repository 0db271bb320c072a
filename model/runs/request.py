"""What somebody asked for: a run to begin or to go on with, before anything was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpus import CorpusOptions
from model.config import ModelConfig, TrainingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A run as it was asked for on the command line."""

    corpus: str | None
    """As given: a built-in name, a file, a folder, ``-``; None with ``resume``: the run's own."""
    corpus_options: CorpusOptions = field(default_factory=CorpusOptions)
    offline: bool = False
    stdin_descriptor: int = 0
    """Where standard input is, if a keyboard took its usual place."""
    preset: str
    model: ModelConfig
    training: TrainingConfig
    root: Path
    """The folder of runs."""
    run: str | None = None
    resume: bool = False
    weights_only: bool = False
    """Whether to resume with the saved weights alone: optimiser, dice and epoch begin anew."""
    tensorboard: bool = False
    """Whether to write what TensorBoard shows into the run's folder, too."""
    processes: int = 1
    """Among which the streams of a step are divided."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """The settings of model and training that were given by name; on resuming, these and only
    these differ from the saved ones."""
