"""Computes a training's progress, and its learning rate from the progress. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.config import ModelConfig, TrainingConfig
from model.events import Planned

FINAL_FRACTION = 0.02
"""Learning rate at the planned end, as a fraction of the peak."""
MAX_WARMUP_FRACTION = 0.05
"""Maximum fraction of the plan for warm-up, so that a training of seconds reaches its peak rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The plan of a training: a number of steps, a time budget, or whichever of both ends first."""

    training: TrainingConfig
    steps_per_epoch: int

    @property
    def planned_steps(self) -> int | None:
        """Total optimiser steps; None if no epochs are planned."""
        epochs = self.training.epochs
        return None if epochs is None else epochs * self.steps_per_epoch

    @property
    def planned_seconds(self) -> float | None:
        """Total training time; None if no time budget is planned."""
        minutes = self.training.minutes
        return None if minutes is None else minutes * 60

    def planned(self, model: ModelConfig, first_step: int) -> Planned:
        """Returns the event that describes the plan; ``first_step`` steps were made before."""
        return Planned(
            steps_per_epoch=self.steps_per_epoch,
            planned_steps=self.planned_steps,
            planned_seconds=self.planned_seconds,
            first_step=first_step,
            network=model.network,
            layers=model.layers,
            hidden=model.hidden,
        )

    def progress(self, step: int, seconds: float) -> float:
        """Returns the completed fraction of the plan, 0 to 1."""
        parts = [0.0]
        if self.planned_steps is not None:
            parts.append(step / self.planned_steps)
        if self.planned_seconds is not None:
            parts.append(seconds / self.planned_seconds)
        return min(1.0, max(parts))

    def learning_rate(self, step: int, seconds: float) -> float:
        """Returns the learning rate of the next step, after ``step`` steps and ``seconds``.

        The rate warms up linearly over ``warmup_steps``, or over a twentieth of the plan if that is
        shorter. A half cosine lowers it from the peak to ``FINAL_FRACTION`` of the peak at the
        planned end (Loshchilov & Hutter 2017, without restarts).
        """
        peak = self.training.learning_rate
        if self.training.constant_learning_rate:
            return peak
        progress = self.progress(step, seconds)
        warm = (step + 1) / max(1, self.training.warmup_steps)
        warm = min(1.0, max(warm, progress / MAX_WARMUP_FRACTION))
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return peak * warm * (FINAL_FRACTION + (1 - FINAL_FRACTION) * cosine)
