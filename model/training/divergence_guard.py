"""Keeps infinities, NaNs and exploding losses out of the weights. Pure.

Training diverges in two ways. Either a loss or a gradient stops being finite, or the loss rises far
above its usual value and stays there. The classic notebook's published run shows the second way:
its epochs 55 to 60 average 1.30, 1.60, 4.73, 12.6, ... nats. One unusual batch, such as a table in
the middle of a novel, is not a divergence. Neither is a new language: its loss is high, but falls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

from model.runs.guard_state import MAX_ROLL_BACKS, MAX_SUSPECTS, GuardState


class Verdict(Enum):
    """The guard's decision about one step."""

    APPLY = auto()
    SKIP = auto()
    """Discard the update and continue."""
    ROLL_BACK = auto()
    """Restore the last good weights and halve the learning rate."""
    GIVE_UP = auto()


class DivergenceGuard:
    """Decides for each step whether to apply it, skip it, roll back or end the training.

    It skips a step that is not finite and rolls back from lasting divergence. The fourth time it
    gives up. ``learning_rate_scale`` multiplies every later learning rate.
    """

    SKIPS_BEFORE_ROLL_BACK = 3
    WARM_UP = 50
    """Steps before the running mean is reliable enough to call a loss suspect."""
    MEMORY = 100.0
    """Time constant of the running mean and deviation, in steps."""
    MIN_EXCESS = 0.5
    """A suspect loss is at least this many nats above the running mean."""
    SPREADS = 6.0
    """A suspect loss is also at least this many standard deviations above the running mean."""
    SUSPECTS = 20
    """This many suspect steps in a row are a divergence, unless their losses fall."""
    BLIND_EXCESS = 2.0
    """A loss this many nats above the untrained network's first loss is suspect from the start."""
    BLIND_STEPS = 5
    """This many suspect steps in a row are a divergence if the last one exceeds `BLIND_EXCESS`."""
    LASTING_EXCESS = 1.0
    """After `MAX_SUSPECTS` falling suspect losses, a loss this many nats above the running mean is
    a divergence. Otherwise the text is new, and the running mean is reset."""

    def __init__(self, *, spikes: bool = True) -> None:
        """Starts without any suspect step.

        Args:
            spikes: whether to detect rising losses, besides values that are not finite.
        """
        self.learning_rate_scale = 1.0
        self.roll_backs = 0
        self.reason = ""
        """Why the last step was rejected, in words."""
        self._spikes = spikes
        self._in_a_row = 0
        self._first: float | None = None
        self._steps = 0
        self._mean = 0.0
        self._deviation = 0.0
        self._suspects: list[float] = []

    @property
    def is_stable(self) -> bool:
        """Whether no recent step is suspect, so that the weights are a safe roll-back point."""
        return not self._suspects and not self._in_a_row

    def judge(self, loss: float, gradient_norm: float) -> Verdict:
        """Returns the verdict on a step.

        Args:
            loss: nats per character of the step's batch.
            gradient_norm: global L2 norm of the gradient, before clipping.
        """
        if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
            self.reason = f"{'gradient' if math.isfinite(loss) else 'loss'} not finite"
            self._in_a_row += 1
            if self._in_a_row < self.SKIPS_BEFORE_ROLL_BACK:
                return Verdict.SKIP
            return self._remedy()
        self._in_a_row = 0
        if self._spikes and self._has_exploded(loss):
            usual = max(self._mean, 0.0)
            self.reason = f"the loss rose to {loss:.2f} nats from {usual:.2f}"
            return self._remedy()
        return Verdict.APPLY

    def reject_weights(self, reason: str) -> Verdict:
        """Returns the verdict on weights that are not finite. Skipping steps cannot repair them."""
        self.reason = reason
        return self._remedy()

    def state(self) -> dict[str, Any]:
        """Returns all values that later verdicts depend on, as plain values for JSON."""
        return GuardState(
            learning_rate_scale=self.learning_rate_scale,
            roll_backs=self.roll_backs,
            in_a_row=self._in_a_row,
            first=self._first,
            steps=self._steps,
            mean=self._mean,
            deviation=self._deviation,
            suspects=tuple(self._suspects),
        ).to_record()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state`` returned, after checking all of it.

        Raises:
            ValueError: a value is missing, has the wrong type or is out of range.
        """
        known = GuardState.from_record(state)
        self.learning_rate_scale, self.roll_backs = known.learning_rate_scale, known.roll_backs
        self._in_a_row, self._first = known.in_a_row, known.first
        self._steps, self._mean, self._deviation = known.steps, known.mean, known.deviation
        self._suspects = list(known.suspects)

    # --- decisions --------------------------------------------------------------------------------

    def _remedy(self) -> Verdict:
        """Resets the running mean; rolls back, or gives up after `MAX_ROLL_BACKS` roll-backs."""
        self._in_a_row = 0
        self._begin_anew()
        if self.roll_backs == MAX_ROLL_BACKS:
            return Verdict.GIVE_UP
        self.roll_backs += 1
        self.learning_rate_scale /= 2
        return Verdict.ROLL_BACK

    def _begin_anew(self) -> None:
        self._steps, self._mean, self._deviation = 0, 0.0, 0.0
        self._suspects.clear()

    def _has_exploded(self, loss: float) -> bool:
        """Records a loss and returns whether it completes a series that is a divergence."""
        if self._first is None:
            self._first = loss
        blind = loss > self._first + self.BLIND_EXCESS
        if not (blind or self._is_suspect(loss)):
            self._suspects.clear()
            self._learn(loss)
            return False
        self._suspects.append(loss)
        count = len(self._suspects)
        enough = self.BLIND_STEPS if blind else self.SUSPECTS
        if count >= enough and not _fell(self._suspects):
            return True
        if count < MAX_SUSPECTS:
            return False
        if loss > self._mean + self.LASTING_EXCESS:
            return True
        self._begin_anew()
        return False

    def _is_suspect(self, loss: float) -> bool:
        """Returns whether the loss is far above its running mean.

        1.25 times the mean absolute deviation is the standard deviation of a normal distribution.
        """
        if self._steps < self.WARM_UP:
            return False
        excess = max(self.MIN_EXCESS, self.SPREADS * 1.25 * self._deviation)
        return loss > self._mean + excess

    def _learn(self, loss: float) -> None:
        """Updates the running mean and deviation: plain averages first, exponential ones later."""
        self._steps += 1
        share = max(1 / self._steps, 1 / self.MEMORY)
        distance = loss - self._mean
        self._mean += share * distance
        if self._steps > 1:
            self._deviation += max(1 / (self._steps - 1), 1 / self.MEMORY) * (
                abs(distance) - self._deviation
            )


def _fell(losses: Sequence[float]) -> bool:
    """Returns whether the last ten losses average more than 0.1 nats below the first ten."""
    part = min(10, len(losses) // 2)
    return sum(losses[-part:]) / part < sum(losses[:part]) / part - 0.1
