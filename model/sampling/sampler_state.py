"""Where several texts stand between two samplers: NumPy writes their beginning, compiled code more.

Letters: S texts, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.network.snapshot import FloatArray
from model.sampling.noise import GumbelNoise
from model.steppers.stepper import StepperState


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
