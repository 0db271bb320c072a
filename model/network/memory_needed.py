"""Refuses a training that cannot fit into memory, before anything is begun. No torch."""

from __future__ import annotations

import math
from pathlib import Path

from model.config import ModelConfig, TrainingConfig
from model.errors import ConfigError
from model.network import parameters
from model.system.cgroup import SYSTEM
from model.system.memory import _gigabytes, free_memory

BYTES_PER_PARAMETER = 24
"""Weights, gradients, two moments of AdamW, and copies of them while saving, all float32."""
NUMBERS_PER_UNIT, NUMBERS_PER_LOGIT = 8, 3
"""What a step keeps at least of each character for each hidden unit of a layer and each symbol, for
the way back: gates, cell and hidden state, logits (measured: 10 to 18 and 4)."""


def require_memory(
    model: ModelConfig,
    training: TrainingConfig,
    vocabulary_size: int,
    *,
    batch: int,
    resumed: bool = False,
    system: Path = SYSTEM,
) -> None:
    """Refuses a training that cannot fit.

    Args:
        model: the shape of the network.
        training: how it is trained.
        vocabulary_size: V.
        batch: streams of this process.
        resumed: whether the settings are those of a run that was begun before.
        system: below which ``proc`` and ``sys`` are.

    Raises:
        ConfigError: it needs more than is free.
    """
    shapes = parameters.parameter_shapes(model, vocabulary_size).values()
    weights = BYTES_PER_PARAMETER * sum(map(math.prod, shapes))
    characters = batch * training.sequence
    scored = characters if training.scoring == "every" else batch
    step = 4 * (
        characters * model.layers * model.hidden * NUMBERS_PER_UNIT
        + scored * vocabulary_size * NUMBERS_PER_LOGIT
    )
    free = free_memory(system)
    if free is None or weights + step <= free:
        return
    option, remedy = "--batch", "give a smaller --batch or --sequence"
    if weights > step:
        option, remedy = "--hidden", "give a smaller --hidden or fewer --layers"
    if resumed:
        remedy = "end other programs, or raise the limit"
    raise ConfigError(
        option,
        f"this training needs about {_gigabytes(weights + step)} GB of memory, and "
        f"{_gigabytes(free)} GB are free",
        remedy,
    )
