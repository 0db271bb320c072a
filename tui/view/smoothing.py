"""Running means of the training loss, and how fast each forgets. Pure."""

from __future__ import annotations

from typing import Final

SMOOTHING: Final = 0.97
"""Weight of the past in the smoothed loss, per step."""
MIN_SMOOTHING: Final = 0.85
"""Minimum weight of the past in the smoothed loss, however many steps the newest loss covers."""
TREND_SMOOTHING: Final = 0.999
"""Weight of the past in the slow mean, per step; the trend is the difference to this mean."""


def running_mean(mean: float | None, value: float | None, weight: float) -> float | None:
    """Returns the exponential running mean after one more value.

    Args:
        mean: the mean so far; None before the first value.
        value: the new value; None changes nothing.
        weight: weight of the mean so far, 0 to 1.
    """
    if value is None or mean is None:
        return mean if value is None else value
    return weight * mean + (1 - weight) * value


def smoothed_weight(steps_seen: int, new_steps: int) -> float:
    """Returns the weight of the past in the smoothed loss.

    A run's file holds ten steps a second, so that one loss may cover several steps. The first
    losses fall fast: until enough steps are seen, the mean covers about a quarter of them.

    Args:
        steps_seen: steps since the training began, the new ones included; 1 or more.
        new_steps: steps that the new loss covers, 1 to ``steps_seen``.
    """
    steady = max(SMOOTHING**new_steps, MIN_SMOOTHING)
    early = 1 - 4 * new_steps / (steps_seen + 3)
    return max(0.0, min(steady, early))


def trend_weight(steps_seen: int, new_steps: int) -> float:
    """Returns the weight of the past in the slow mean: at first, that of the mean of all steps.

    Args:
        steps_seen: steps since the training began, the new ones included; 1 or more.
        new_steps: steps that the new loss covers, 1 to ``steps_seen``.
    """
    return min(TREND_SMOOTHING**new_steps, 1 - new_steps / steps_seen)
