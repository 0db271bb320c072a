"""A request of the user for a run, and the settings that it can change in a saved run. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from corpus import CorpusOptions
from model.config import ModelConfig, TrainingConfig
from model.errors import CheckpointError
from model.runs.checkpoint import CheckpointMetadata

CHANGEABLE_ON_RESUME: Final = frozenset(
    {
        "epochs",
        "minutes",
        "learning_rate",
        "dropout",
        "embedding_dropout",
        "weight_dropout",
        "weight_decay",
        "guard",
        "checkpoint_every",
        "device",
        "precision",
        "threads",
        "seed",
    }
)
"""The training settings that can change in a resumed run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """The run to begin or to resume, as the command line names it; nothing is checked yet."""

    corpus: str | None
    """A built-in name, a file, a folder or ``-``; None with ``resume``: the text of the run."""
    corpus_options: CorpusOptions = field(default_factory=CorpusOptions)
    offline: bool = False
    stdin_descriptor: int = 0
    """File descriptor of standard input; not 0 if the keyboard was opened as 0."""
    preset: str
    model: ModelConfig
    training: TrainingConfig
    root: Path
    """The folder of runs."""
    run: str | None = None
    resume: bool = False
    weights_only: bool = False
    """Whether to use only the saved weights: optimiser, random states and epoch start again."""
    tensorboard: bool = False
    """Whether to write files for TensorBoard into the run's folder too."""
    processes: int = 1
    """Number of processes that share the streams of a step."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Settings of model and training that were given by name. A resumed run keeps all others."""


def resumed_settings(
    folder: Path, metadata: CheckpointMetadata, request: RunRequest
) -> tuple[ModelConfig, TrainingConfig]:
    """Returns the saved settings with the requested changes.

    A new end (epochs or minutes) replaces the planned one and counts from the run's beginning. If
    only the weights are used, all training settings can change, and a teacher or a student becomes
    a network like any other.

    Args:
        folder: of the run, to be named in an error.
        metadata: of the checkpoint.
        request: of the user.

    Raises:
        CheckpointError: a requested change is impossible for a trained network.
    """
    model_fields = {field.name for field in dataclasses.fields(ModelConfig)}
    model, training = metadata.model, metadata.training
    changes = dict(request.overrides)
    saved_elsewhere = {"preset": metadata.preset, "lowercase": metadata.source.lowercase}
    for name, asked in changes.items():
        is_training_setting = name not in model_fields and name not in saved_elsewhere
        holder = training if is_training_setting else model
        saved = saved_elsewhere[name] if name in saved_elsewhere else getattr(holder, name)
        retrained = is_training_setting and request.weights_only
        if asked != saved and not (retrained or name in CHANGEABLE_ON_RESUME):
            was, wanted = (_in_words(value) for value in (saved, asked))
            raise CheckpointError(
                str(folder),
                f"the saved run has {name.replace('_', '-')} {was}, but {wanted} was requested",
                "leave the option out, or start another run with --run",
            )
    for name in saved_elsewhere:
        changes.pop(name, None)
    if "epochs" in changes or "minutes" in changes:
        changes.setdefault("epochs", None)
        changes.setdefault("minutes", None)
    if request.weights_only:
        changes.setdefault("teacher_share", 0.0)
    else:
        changes.pop("seed", None)  # the seed of a begun run is spent
    return (
        dataclasses.replace(model, **{k: v for k, v in changes.items() if k in model_fields}),
        dataclasses.replace(
            training, **{k: v for k, v in changes.items() if k not in model_fields}
        ),
    )


def _in_words(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
