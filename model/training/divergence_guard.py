"""The guard between a gradient and the weights: no number that is not finite, no explosion. Pure.

Training explodes in two ways. A loss or a gradient stops being finite; or the loss climbs far
above what it was and stays there, as in the classic notebook's published run, whose epochs 55 to
60 average 1.30, 1.60, 4.73, 12.6, ... nats. One strange batch (a table in the middle of a novel)
is no explosion, nor is another language that begins: its loss is high at first, but falls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

from model.runs.guard_state import MAX_ROLL_BACKS, MAX_SUSPECTS, GuardState


class Verdict(Enum):
    """What to do with the step at hand."""

    APPLY = auto()
    SKIP = auto()
    """Leave the weights as they are and go on."""
    ROLL_BACK = auto()
    """Go back to the last good weights and halve the learning rate."""
    GIVE_UP = auto()


class DivergenceGuard:
    """Skips a step that is not finite; rolls back from trouble that lasts; the fourth time, ends.

    ``learning_rate_scale`` multiplies every later learning rate.
    """

    SKIPS_BEFORE_ROLL_BACK = 3
    WARM_UP = 50
    """Steps until the running mean means something."""
    MEMORY = 100.0
    """Steps over which the running mean and spread forget."""
    MIN_EXCESS = 0.5
    """Nats above the mean that a loss needs at least to be suspect."""
    SPREADS = 6.0
    """Standard deviations that it needs as well."""
    SUSPECTS = 20
    """Suspect steps in a row that are an explosion, unless they fall."""
    BLIND_EXCESS = 2.0
    """Nats above the first loss, that of a network that knows nothing: trouble at once."""
    BLIND_STEPS = 5
    LASTING_EXCESS = 1.0
    """After `MAX_SUSPECTS` suspicious but falling losses, treat the text as new and reset the
    running mean, unless the loss is still this many nats above it."""

    def __init__(self, *, spikes: bool = True) -> None:
        """Starts with nothing suspect.

        Args:
            spikes: whether to look for explosions too; without, only for numbers not finite.
        """
        self.learning_rate_scale = 1.0
        self.roll_backs = 0
        self.reason = ""
        """The last trouble, in words."""
        self._spikes = spikes
        self._in_a_row = 0
        self._first: float | None = None
        self._steps = 0
        self._mean = 0.0
        self._deviation = 0.0
        self._suspects: list[float] = []

    @property
    def is_stable(self) -> bool:
        """Whether nothing is suspect now, so that these weights may be gone back to."""
        return not self._suspects and not self._in_a_row

    def judge(self, loss: float, gradient_norm: float) -> Verdict:
        """Says what to do with a step.

        Args:
            loss: nats per character of the step's batch.
            gradient_norm: of all weights together, before clipping.
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
        """Says what to do where the weights themselves went wrong, which no skipping mends."""
        self.reason = reason
        return self._remedy()

    def state(self) -> dict[str, Any]:
        """Returns everything that later verdicts depend on, as plain values for JSON."""
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
        """Goes on from what ``state`` returned, once all of it is right.

        Raises:
            ValueError: a value is missing, of another type, or out of its range.
        """
        known = GuardState.from_record(state)
        self.learning_rate_scale, self.roll_backs = known.learning_rate_scale, known.roll_backs
        self._in_a_row, self._first = known.in_a_row, known.first
        self._steps, self._mean, self._deviation = known.steps, known.mean, known.deviation
        self._suspects = list(known.suspects)

    # --- the inside -------------------------------------------------------------------------------

    def _remedy(self) -> Verdict:
        """Rolls back while that is allowed; what is usual is learnt anew behind it."""
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
        """Tells whether the loss is far above its running mean.

        The deviation is the mean absolute one; 1.25 of it is a normal law's standard deviation.
        """
        if self._steps < self.WARM_UP:
            return False
        excess = max(self.MIN_EXCESS, self.SPREADS * 1.25 * self._deviation)
        return loss > self._mean + excess

    def _learn(self, loss: float) -> None:
        """Takes a loss into the running mean and deviation (exponential, exact at the start)."""
        self._steps += 1
        share = max(1 / self._steps, 1 / self.MEMORY)
        distance = loss - self._mean
        self._mean += share * distance
        if self._steps > 1:
            self._deviation += max(1 / (self._steps - 1), 1 / self.MEMORY) * (
                abs(distance) - self._deviation
            )


def _fell(losses: Sequence[float]) -> bool:
    """Tells whether the last ten lie clearly (0.1 nats) below the first ten."""
    part = min(10, len(losses) // 2)
    return sum(losses[-part:]) / part < sum(losses[:part]) / part - 0.1
