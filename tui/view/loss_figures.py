"""The figures of the training after a step, a validation, or the change of a text. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from model.events import StepFinished, Validated
from tui.view.curve import NO_POINTS
from tui.view.smoothing import running_mean, smoothed_weight, trend_weight
from tui.view.state import Losses

SPEEDS: Final = 60
"""Number of speeds that the sparkline shows."""


def finite(value: float | None) -> float | None:
    """Returns the value, or None where it is not a finite number."""
    return value if value is not None and math.isfinite(value) else None


def after_step(losses: Losses, event: StepFinished, steps_seen: int, new_steps: int) -> Losses:
    """Returns the figures after a step of the optimiser.

    Args:
        losses: the figures before it.
        event: the step.
        steps_seen: steps since the training began, the new ones included; 1 or more.
        new_steps: steps that the event stands for, 1 to ``steps_seen``.
    """
    step, loss = event.step, finite(event.loss)
    smoothed = running_mean(losses.smoothed, loss, smoothed_weight(steps_seen, new_steps))
    slow = running_mean(losses.slow, loss, trend_weight(steps_seen, new_steps))
    return replace(
        losses,
        loss=loss,
        smoothed=smoothed,
        slow=slow,
        learning_rate=finite(event.learning_rate),
        gradient_norm=finite(event.gradient_norm),
        characters_per_second=finite(event.characters_per_second),
        rate_curve=losses.rate_curve.add(step, event.learning_rate),
        gradient_curve=losses.gradient_curve.add(step, event.gradient_norm),
        speed_curve=losses.speed_curve.add(step, event.characters_per_second),
        raw_curve=losses.raw_curve.add(step, math.nan if loss is None else loss),
        smoothed_curve=losses.smoothed_curve.add(
            step, math.nan if smoothed is None or loss is None else smoothed
        ),
    )


def with_speed(losses: Losses, speed: float | None) -> Losses:
    """Returns the figures with one more speed for the sparkline, characters per second."""
    if speed is None:
        return losses
    return replace(losses, speeds=(*losses.speeds, speed)[-SPEEDS:])


def before_step(losses: Losses, step: int) -> Losses:
    """Returns the figures with their curves cut before a step."""
    return replace(
        losses,
        rate_curve=losses.rate_curve.before(step),
        gradient_curve=losses.gradient_curve.before(step),
        speed_curve=losses.speed_curve.before(step),
        raw_curve=losses.raw_curve.before(step),
        smoothed_curve=losses.smoothed_curve.before(step),
        validation_curve=losses.validation_curve.before(step),
    )


def without_validations(losses: Losses) -> Losses:
    """Returns the figures without the validations of the text that the run trained on before."""
    return replace(
        losses,
        validation=None,
        validation_before=None,
        best=None,
        best_step=None,
        validation_curve=NO_POINTS,
    )


def after_validation(losses: Losses, event: Validated) -> Losses:
    """Returns the figures after a validation."""
    nats = finite(event.nats_per_character)
    if nats is None:
        return losses
    is_best = event.best or losses.best is None
    return replace(
        losses,
        validation=nats,
        validation_before=losses.validation,
        best=nats if is_best else losses.best,
        best_step=event.step if is_best else losses.best_step,
        validation_curve=losses.validation_curve.add(event.step, nats),
    )
