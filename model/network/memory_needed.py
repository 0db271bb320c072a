"""Refuses a training that does not fit into memory, before it starts. No torch."""

from __future__ import annotations

import math
from pathlib import Path

from model.config import ModelConfig, TrainingConfig
from model.errors import ConfigError
from model.network import parameters
from model.system.cgroup import SYSTEM
from model.system.memory import _gigabytes, free_memory

BYTES_PER_PARAMETER = 24
"""Weights, gradients, two moments of AdamW, and their copies during a save, all float32."""
NUMBERS_PER_UNIT, NUMBERS_PER_LOGIT = 8, 3
"""Numbers that a step keeps for its backward pass, a lower bound: of each character for each hidden
unit of a layer (gates, cell and hidden state; measured: 10 to 18), and for each symbol (logits;
measured: 4)."""

PREDICTION_BYTES = 2
"""Of a teacher's prediction, a float16 for each character of the text and of the vocabulary."""


def require_memory(
    model: ModelConfig,
    training: TrainingConfig,
    vocabulary_size: int,
    *,
    batch: int,
    characters: int = 0,
    resumed: bool = False,
    system: Path = SYSTEM,
) -> None:
    """Refuses a training that does not fit into memory.

    Args:
        model: the shape of the network.
        training: how it is trained.
        vocabulary_size: V.
        batch: streams of this process.
        characters: of the training part.
        resumed: whether the run existed before, so that its settings are fixed.
        system: the folder that contains ``proc`` and ``sys``.

    Raises:
        ConfigError: it needs more memory than is free.
    """
    shapes = parameters.parameter_shapes(model, vocabulary_size).values()
    weights = BYTES_PER_PARAMETER * sum(map(math.prod, shapes))
    read = batch * training.sequence
    scored = read if training.scoring == "every" else batch
    step = 4 * (
        read * model.layers * model.hidden * NUMBERS_PER_UNIT
        + scored * vocabulary_size * NUMBERS_PER_LOGIT
    )
    taught = PREDICTION_BYTES * characters * vocabulary_size if training.teacher_share else 0
    free = free_memory(system)
    if free is None or weights + step + taught <= free:
        return
    option, remedy = "--batch", "give a smaller --batch or --sequence"
    if weights > step:
        option, remedy = "--hidden", "give a smaller --hidden or fewer --layers"
    if taught > max(weights, step):
        option, remedy = "--teacher-share", "give 0, which trains one network"
    if resumed:
        remedy = "end other programs, or raise the limit"
    raise ConfigError(
        option,
        f"this training needs about {_gigabytes(weights + step + taught)} GB of memory, and "
        f"{_gigabytes(free)} GB are free",
        remedy,
    )
