"""The guard between a gradient and the weights: nothing that is not finite gets past it. Pure."""

from __future__ import annotations

import math
from enum import Enum, auto


class Verdict(Enum):
    """What to do with the step at hand."""

    APPLY = auto()
    SKIP = auto()
    """Leave the weights as they are and go on."""
    ROLL_BACK = auto()
    """Go back to the last good weights and halve the learning rate."""
    GIVE_UP = auto()


class FiniteGuard:
    """Skips a step that is not finite; after three in a row rolls back; after three of those, ends.

    ``learning_rate_scale`` multiplies every later learning rate.
    """

    SKIPS_BEFORE_ROLL_BACK = 3
    MOST_ROLL_BACKS = 3

    def __init__(self) -> None:
        self.learning_rate_scale = 1.0
        self.roll_backs = 0
        self._in_a_row = 0

    def judge(self, loss: float, gradient_norm: float) -> Verdict:
        """Says what to do with a step of this loss and gradient norm."""
        if math.isfinite(loss) and math.isfinite(gradient_norm):
            self._in_a_row = 0
            return Verdict.APPLY
        self._in_a_row += 1
        if self._in_a_row < self.SKIPS_BEFORE_ROLL_BACK:
            return Verdict.SKIP
        self._in_a_row = 0
        if self.roll_backs == self.MOST_ROLL_BACKS:
            return Verdict.GIVE_UP
        self.roll_backs += 1
        self.learning_rate_scale /= 2
        return Verdict.ROLL_BACK
