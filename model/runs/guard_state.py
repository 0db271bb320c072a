"""The divergence guard's state in a checkpoint, with checks of types and ranges. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from corpus.files.json_values import odd, real, whole

MAX_ROLL_BACKS = 3
MAX_SUSPECTS = 200

_FIRST_FIELDS = {"learning_rate_scale", "roll_backs"}
"""The only fields in checkpoints of versions whose guard did not detect rising losses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardState:
    """All values on which later decisions of the guard depend."""

    learning_rate_scale: float = 1.0
    """Halved by each rollback; multiplies every later learning rate."""
    roll_backs: int = 0
    in_a_row: int = 0
    """Number of consecutive latest steps whose loss or gradient was not finite."""
    first: float | None = None
    """Loss of the first step, nats per character."""
    steps: int = 0
    """Number of steps in the running mean."""
    mean: float = 0.0
    """Running mean of the loss, nats per character."""
    deviation: float = 0.0
    """Running mean absolute deviation of the loss."""
    suspects: tuple[float, ...] = ()
    """Losses of the consecutive latest steps that were suspect."""

    def to_record(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return {**asdict(self), "suspects": list(self.suspects)}

    @classmethod
    def from_record(cls, state: Mapping[str, Any]) -> GuardState:
        """Returns the state that a record describes.

        Raises:
            ValueError: a value is missing, of another type, or out of its range.
        """
        untouched = cls().to_record()
        known = set(state) & set(untouched)
        if known not in (set(untouched), _FIRST_FIELDS):
            raise ValueError("guard is not whole")
        state = {**untouched, **state}
        roll_backs = whole("guard.roll_backs", state["roll_backs"], 0, MAX_ROLL_BACKS)
        scale = real("guard.learning_rate_scale", state["learning_rate_scale"], 0, 1)
        if scale != 0.5**roll_backs:
            raise ValueError(odd("guard.learning_rate_scale", scale))
        first, suspects = state["first"], state["suspects"]
        if not isinstance(suspects, list) or len(suspects) > MAX_SUSPECTS:
            raise ValueError(odd("guard.suspects", suspects))
        return cls(
            learning_rate_scale=scale,
            roll_backs=roll_backs,
            in_a_row=whole("guard.in_a_row", state["in_a_row"]),
            first=None if first is None else _loss("guard.first", first),
            steps=whole("guard.steps", state["steps"]),
            mean=_loss("guard.mean", state["mean"]),
            deviation=_loss("guard.deviation", state["deviation"]),
            suspects=tuple(_loss("guard.suspects", loss) for loss in suspects),
        )


def _loss(name: str, value: object) -> float:
    """Returns a checked loss, nats per character; rounding can make a mean slightly negative."""
    return real(name, value, -1.0, sys.float_info.max)
