"""What one step of a training found. PyTorch, for figures that a device has yet to hand over."""

from __future__ import annotations

from dataclasses import dataclass

from model.compute.host_copy import HostCopy
from model.training.divergence_guard import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What one step found."""

    loss: float
    """Nats per character of the batch, before the update."""
    gradient_norm: float
    learning_rate: float
    characters: int
    """Characters read."""
    verdict: Verdict
    step: int
    """That the figures are of: the last one made, or on a device with a queue the one before it."""
    epoch: int
    """That it belongs to."""


@dataclass(slots=True, kw_only=True)
class StepFigures:
    """What a step found, on its way from the device."""

    step: int
    epoch: int
    learning_rate: float
    characters: int
    numbers: HostCopy
    result: StepResult | None = None
    """Once the numbers were looked at."""
