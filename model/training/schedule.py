"""Computes a training's progress, and its learning rate from the progress. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.config import ModelConfig, TrainingConfig
from model.events import NetworkRole, Planned

FINAL_FRACTION = 0.02
"""Learning rate at the planned end, as a fraction of the peak."""
MAX_WARMUP_FRACTION = 0.05
"""Maximum fraction of the plan for warm-up, so that a training of seconds reaches its peak rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The plan of a training: a number of steps, a time budget, or whichever of both ends first."""

    training: TrainingConfig
    steps_per_epoch: int
    student_since: tuple[int, float] | None = None
    """Steps and seconds before the student began; None if it has not."""

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
            role=self.role,
            network_since=self.first_step,
        )

    def progress(self, step: int, seconds: float) -> float:
        """Returns the completed fraction of the plan, 0 to 1."""
        parts = [0.0]
        if self.planned_steps is not None:
            parts.append(step / self.planned_steps)
        if self.planned_seconds is not None:
            parts.append(seconds / self.planned_seconds)
        return min(1.0, max(parts))

    def notes(self, step: int, seconds: float) -> list[str]:
        """Returns a note for the user if nothing of the plan is left, as of a finished run."""
        if self.progress(step, seconds) < 1:
            return []
        return ["this run has reached its planned end; more --minutes or --epochs train it further"]

    @property
    def trains_teacher(self) -> bool:
        """Whether a student will follow the network that is trained now."""
        return self.training.teacher_share > 0 and self.student_since is None

    def with_student(self, step: int, seconds: float) -> Schedule:
        """Returns the schedule once the student has begun, after the teacher's steps."""
        return dataclasses.replace(self, student_since=(step, seconds))

    def resumed(self, progress: Mapping[str, Any]) -> Schedule:
        """Returns the schedule with the student, if any, that a trainer's counters name."""
        since = progress.get("student_since")
        return self if since is None else self.with_student(*since)

    @property
    def role(self) -> NetworkRole:
        """What the network that is trained now is for."""
        if self.student_since is not None:
            return "student"
        return "teacher" if self.trains_teacher else "only"

    @property
    def first_step(self) -> int:
        """Steps before those of the network that is trained now."""
        return 0 if self.student_since is None else self.student_since[0]

    def is_new_student(self, step: int) -> bool:
        """Whether a student has begun and made no step."""
        return self.role == "student" and step == self.first_step

    def teacher_is_done(self, step: int, seconds: float) -> bool:
        """Returns whether it is time for the student to begin."""
        return self.trains_teacher and self.network_progress(step, seconds) == 1

    def network_progress(self, step: int, seconds: float) -> float:
        """Returns the completed fraction of the training of one network, teacher or student."""
        progress = self.progress(step, seconds)
        if self.trains_teacher:
            return min(1.0, progress / self.training.teacher_share)
        before = 0.0 if self.student_since is None else self.progress(*self.student_since)
        return 1.0 if before == 1 else max(0.0, (progress - before) / (1 - before))

    def learning_rate(self, step: int, seconds: float) -> float:
        """Returns the learning rate of the next step, after ``step`` steps and ``seconds``.

        The rate warms up linearly over ``warmup_steps``, or over a twentieth of the network's
        training if that is shorter. A half cosine lowers it from the peak to ``FINAL_FRACTION`` of
        the peak at the planned end (Loshchilov & Hutter 2017). A student starts like its teacher.
        """
        peak = self.training.learning_rate
        if self.training.constant_learning_rate:
            return peak
        progress = self.network_progress(step, seconds)
        warm = (step - self.first_step + 1) / max(1, self.training.warmup_steps)
        warm = min(1.0, max(warm, progress / MAX_WARMUP_FRACTION))
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return peak * warm * (FINAL_FRACTION + (1 - FINAL_FRACTION) * cosine)
