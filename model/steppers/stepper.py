"""The protocols of steppers. NumPy.

A stepper holds a network's weights and carried state, reads characters and returns logits. A new
network needs one for a single stream (`Stepper`), one for many (`CarryingBatchStepper`), and a row
in `model.steppers.network_steppers`. What is in the state, only the network's own steppers know.
Letters: S streams, V vocabulary, L layers, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from model.network.snapshot import FloatArray, WeightSnapshot

Symbols = npt.NDArray[np.intp]

StepperState = tuple[FloatArray, ...]
"""The state that a stepper carries, as any number of arrays."""


class Stepper(Protocol):
    """Steps one stream through characters."""

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Replaces the weights by others of the same shape and keeps the state.

        Raises:
            ValueError: the weights have another shape.
        """

    def reset(self) -> None:
        """Sets the state to zero, a cold start."""

    def prime(self, ids: Iterable[int]) -> FloatArray:
        """Reads characters in turn; returns the logits [V] after the last.

        The next call may overwrite the logits. Without ids they follow from the state as it is.
        """

    @property
    def state(self) -> StepperState:
        """A copy of the carried state; assigning one restores it."""

    @state.setter
    def state(self, state: StepperState) -> None: ...

    def outputs(self) -> FloatArray:
        """Returns the output of each hidden unit after the last character, [L, H].

        The next call of another method may overwrite it.
        """


class BatchStepper(Protocol):
    """Steps S streams side by side."""

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Replaces the weights by others of the same shape and keeps the state."""

    def reset(self) -> None:
        """Sets every state to zero, a cold start."""

    def prime(self, ids: Iterable[Symbols]) -> FloatArray:
        """Reads characters [S] in turn, at least one; returns the logits [V, S] after the last."""


class CarryingBatchStepper(BatchStepper, Protocol):
    """A `BatchStepper` whose state can be read and restored; each one of a network is."""

    @property
    def state(self) -> StepperState:
        """The carried state; the last dimension of each array is S. The next step may overwrite it.

        Assigning one restores it. Without ids, ``prime`` returns the logits that follow from it.
        """

    @state.setter
    def state(self, state: StepperState) -> None: ...


MakeStepper = Callable[[WeightSnapshot], Stepper]
MakeBatchStepper = Callable[[WeightSnapshot, int], BatchStepper]
"""Takes weights and S."""
