"""The protocols of steppers, and the state that one sampler hands to the next. NumPy.

A stepper holds a network's weights and carried state, reads characters and returns logits. A new
network needs one for a single stream (`Stepper`), one for many (`CarryingBatchStepper`), and a row
in `model.sampling.network_steppers`. What is in the state, only the network's own steppers know.
Letters: S streams, V vocabulary, L layers, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from model.network.snapshot import FloatArray, WeightSnapshot
from model.sampling.noise import GumbelNoise

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerState:
    """All that the rest of S texts depends on, besides weights and sampling settings."""

    carried: StepperState
    """The steppers' state; the last dimension of each array is S."""
    logits: FloatArray
    """[S, V], of the next characters."""
    noises: tuple[GumbelNoise, ...]
    """One for each text."""
    written: int
    """Characters of each text: the rows of its noise that are used up."""

    def of_streams(self, streams: slice) -> SamplerState:
        """Returns the state of some of the texts."""
        return SamplerState(
            carried=tuple(part[..., streams] for part in self.carried),
            logits=self.logits[streams],
            noises=self.noises[streams],
            written=self.written,
        )

    @classmethod
    def joined(cls, states: Sequence[SamplerState]) -> SamplerState:
        """Concatenates the states of several groups of texts, all of the same length."""
        carried = zip(*(state.carried for state in states), strict=True)
        return cls(
            carried=tuple(np.concatenate(parts, axis=-1) for parts in carried),
            logits=np.concatenate([state.logits for state in states]),
            noises=tuple(noise for state in states for noise in state.noises),
            written=states[0].written,
        )
