"""How far a training is, and the learning rate that follows from it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.config import ModelConfig, TrainingConfig
from model.events import Planned

FINAL_FRACTION = 0.02
"""Of the peak learning rate, at the planned end."""
MAX_WARMUP_FRACTION = 0.05
"""Part of the plan that warm-up may take: a training of seconds has no time for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The plan of a training: so many steps, or so much time, whichever ends first."""

    training: TrainingConfig
    steps_per_epoch: int

    @property
    def planned_steps(self) -> int | None:
        """Total optimiser steps, where epochs are planned."""
        epochs = self.training.epochs
        return None if epochs is None else epochs * self.steps_per_epoch

    @property
    def planned_seconds(self) -> float | None:
        """Total training time, where a time budget is planned."""
        minutes = self.training.minutes
        return None if minutes is None else minutes * 60

    def planned(self, model: ModelConfig, first_step: int) -> Planned:
        """Returns the plan as it is told; ``first_step`` steps were made before."""
        return Planned(
            steps_per_epoch=self.steps_per_epoch,
            planned_steps=self.planned_steps,
            planned_seconds=self.planned_seconds,
            first_step=first_step,
            layers=model.layers,
            hidden=model.hidden,
        )

    def progress(self, step: int, seconds: float) -> float:
        """Returns the done part of the plan, 0 to 1, after ``step`` steps and ``seconds``."""
        parts = [0.0]
        if self.planned_steps is not None:
            parts.append(step / self.planned_steps)
        if self.planned_seconds is not None:
            parts.append(seconds / self.planned_seconds)
        return min(1.0, max(parts))

    def learning_rate(self, step: int, seconds: float) -> float:
        """Returns the rate for the step after ``step`` steps.

        Linear warm-up over ``warmup_steps``, or a twentieth of the plan where that is less; then
        half a cosine from the peak down to ``FINAL_FRACTION`` of it at the planned end
        (Loshchilov & Hutter 2017, without restarts).
        """
        peak = self.training.learning_rate
        if self.training.constant_learning_rate:
            return peak
        progress = self.progress(step, seconds)
        warm = (step + 1) / max(1, self.training.warmup_steps)
        warm = min(1.0, max(warm, progress / MAX_WARMUP_FRACTION))
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return peak * warm * (FINAL_FRACTION + (1 - FINAL_FRACTION) * cosine)
