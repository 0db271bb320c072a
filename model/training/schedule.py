"""Computes a training's progress, and its learning rate from the progress. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.config import ModelConfig, TrainingConfig
from model.events import Planned
from model.runs.checkpoint_form import teachers_done

FINAL_FRACTION = 0.02
"""Learning rate at the planned end, as a fraction of the peak."""
MAX_WARMUP_FRACTION = 0.05
"""Maximum fraction of the plan for warm-up, so that a training of seconds reaches its peak rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The plan of a training: a number of steps, a time budget, or whichever of both ends first."""

    training: TrainingConfig
    steps_per_epoch: int
    teachers_done: int = 0
    """Networks that were trained before the present one."""
    network_since: tuple[int, float] = (0, 0.0)
    """Steps and seconds before the present network began."""

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
            teachers=self.training.teachers if self.training.teacher_share else 0,
            teachers_done=self.teachers_done,
            network_since=self.network_since[0],
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
        """Whether a student will follow, now or later, the present network."""
        training = self.training
        return training.teacher_share > 0 and self.teachers_done < training.teachers

    def after_teacher(self, step: int, seconds: float) -> Schedule:
        """Returns the schedule once the present network is a teacher, and another one begins."""
        done, since = self.teachers_done + 1, (step, seconds)
        return dataclasses.replace(self, teachers_done=done, network_since=since)

    def networks_before(self) -> dict[str, Any]:
        """Returns what `resumed` needs, as plain values for JSON."""
        since = self.network_since if self.teachers_done else None
        return {"teachers_done": self.teachers_done, "student_since": since}

    def resumed(self, progress: Mapping[str, Any]) -> Schedule:
        """Returns the schedule with the networks before that a trainer's counters name."""
        done = teachers_done(progress)
        since = tuple(progress["student_since"]) if done else (0, 0.0)
        return dataclasses.replace(self, teachers_done=done, network_since=since)

    def teacher_is_done(self, step: int, seconds: float) -> bool:
        """Returns whether it is time for another network to begin."""
        return self.trains_teacher and self.network_progress(step, seconds) == 1

    def network_progress(self, step: int, seconds: float) -> float:
        """Returns the completed fraction of the present network's training.

        Teachers share their part of the plan equally.
        """
        before, end = self.progress(*self.network_since), 1.0
        if self.trains_teacher:
            share = self.training.teacher_share
            end = before + (share - before) / (self.training.teachers - self.teachers_done)
        if end <= before:
            return 1.0
        return min(1.0, max(0.0, (self.progress(step, seconds) - before) / (end - before)))

    def learning_rate(self, step: int, seconds: float) -> float:
        """Returns the learning rate of the next step, after ``step`` steps and ``seconds``.

        The rate warms up linearly over ``warmup_steps``, or over a twentieth of the network's
        training if that is shorter. A half cosine lowers it from the peak to ``FINAL_FRACTION`` of
        the peak at the planned end (Loshchilov & Hutter 2017). A student starts like its teachers.
        """
        peak = self.training.learning_rate
        if self.training.constant_learning_rate:
            return peak
        progress = self.network_progress(step, seconds)
        warm = (step - self.network_since[0] + 1) / max(1, self.training.warmup_steps)
        warm = min(1.0, max(warm, progress / MAX_WARMUP_FRACTION))
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return peak * warm * (FINAL_FRACTION + (1 - FINAL_FRACTION) * cosine)
