"""Exports a run's weights: one safetensors file, and a JSON card that people can read.

The file holds the weights alone, in float32, under the names of the network's state dict. These
are the names of ``torch.nn.Embedding``, ``torch.nn.LSTM`` and ``torch.nn.Linear``. The header is
that of a checkpoint, so the file can be read as a checkpoint. It holds no paths. No torch.
"""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

from corpus.files.json_text import json_text
from corpus.files.regular_file import NotRegularError, require_regular_or_none
from model.config import to_record
from model.errors import CheckpointError, ConfigError
from model.runs.checkpoint import FORMAT_VERSION, Checkpoint
from model.runs.checkpoint_file import checkpoint_bytes
from model.runs.checkpoint_form import WEIGHT_PREFIX
from model.runs.file_names import is_file_of_a_run
from model.runs.storage import write_atomically

SUFFIX, CARD_SUFFIX = ".safetensors", ".json"
MAX_NAME_BYTES = 255
"""Longest name of a file. The name of a card is shortened to it."""


def card_path(path: Path) -> Path:
    """Returns the path of an exported file's card.

    Raises:
        ConfigError: the file would be its own card.
    """
    if path.suffix == CARD_SUFFIX:
        raise ConfigError("--output", f"{path} is the name of a card", f"name a {SUFFIX} file")
    stem = path.stem if path.suffix == SUFFIX else path.name
    while len(os.fsencode(stem + CARD_SUFFIX)) > MAX_NAME_BYTES:
        stem = stem[:-1]
    return path.with_name(stem + CARD_SUFFIX)


def export(checkpoint: Checkpoint, path: Path, *, force: bool = False) -> Path:
    """Writes the checkpoint's best weights and their card; returns the card's path.

    Args:
        checkpoint: the source of the weights.
        path: of the file to write.
        force: whether to replace existing files.

    Raises:
        ConfigError: a file exists and ``force`` is false, or the path is not a regular file,
            belongs to a run, or means standard output. Nothing was written.
        CheckpointError: a weight is not finite; nothing was written.
        OSError: the file system refuses. Each file is unchanged or complete.
    """
    if str(path) == "-":
        raise ConfigError(
            "--output", "- is not a file, and two files are written", f"name a {SUFFIX} file"
        )
    if not path.name:
        raise ConfigError("--output", f"{path} is a folder, not a file", f"name a {SUFFIX} file")
    card = card_path(path)
    for taken in (path, card):
        require_replaceable(taken, "--output", force=force)
    exported = exported_checkpoint(checkpoint)
    try:
        data = checkpoint_bytes(exported, exported=True)
    except ValueError as error:
        raise CheckpointError(str(path), str(error), "it was not written") from error
    write_atomically(path, data)
    text = json_text(card_of(exported, path.name), indent=2) + "\n"
    write_atomically(card, text.encode())
    return card


def require_replaceable(path: Path, option: str, *, force: bool | None) -> None:
    """Refuses a path that a command must not write, before the work.

    Args:
        path: of the file to write.
        option: the option that named it, for the message.
        force: whether to replace an existing file; None if the command never does.

    Raises:
        ConfigError: the path exists and ``force`` is not true, or it is not a regular file or
            belongs to a run, or its folder does not exist.
    """
    if is_file_of_a_run(path):
        raise ConfigError(str(path), "is a run's own file", f"name another {option}")
    try:
        is_there = require_regular_or_none(path)
    except NotRegularError as error:
        raise ConfigError(str(path), str(error.strerror), f"name another {option}") from error
    if is_there and not force:
        remedy = f"name another {option}" if force is None else f"give --force, or another {option}"
        raise ConfigError(str(path), "is there already", remedy)
    if not path.parent.is_dir():
        remedy = f"make the folder, or name another {option}"
        raise ConfigError(str(path), "its folder does not exist", remedy)


def exported_checkpoint(checkpoint: Checkpoint) -> Checkpoint:
    """Returns the checkpoint with only its best weights, and without paths."""
    metadata = checkpoint.metadata
    name = Path(metadata.source.specification).name
    return Checkpoint(
        metadata=dataclasses.replace(
            metadata,
            source=dataclasses.replace(metadata.source, specification=name),
            progress={},
        ),
        tensors={
            WEIGHT_PREFIX + name: weight for name, weight in checkpoint.best_weights().items()
        },
    )


def card_of(exported: Checkpoint, file_name: str) -> dict[str, Any]:
    """Returns the card of an exported file, as plain values for JSON."""
    metadata = exported.metadata
    nats = metadata.nats_per_character
    return {
        "format": FORMAT_VERSION,
        "file": file_name,
        "run": metadata.run,
        "step": metadata.step,
        "epoch": metadata.epoch,
        "corpus": {
            "name": metadata.source.name,
            "characters": metadata.source.characters,
            "sha256": metadata.source.sha256,
            "lowercase": metadata.source.lowercase,
        },
        "nats_per_character": nats,
        "bits_per_character": None if nats is None else nats / math.log(2),
        "preset": metadata.preset,
        "model": to_record(metadata.model),
        "training": to_record(metadata.training),
        "window": metadata.training.window,
        "vocabulary": "".join(metadata.vocabulary.symbols),
        "tensors": {name: list(weight.shape) for name, weight in exported.weights().items()},
    }
