"""What a sampler steps with: the protocol of steppers, and the state that one hands to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from model.network.snapshot import FloatArray, WeightSnapshot
from model.sampling.noise import GumbelNoise

Symbols = npt.NDArray[np.intp]


class ColumnKernel(Protocol):
    """Steps S streams side by side; what `BatchKernel` does here, others do elsewhere."""

    def adopt(self, snapshot: WeightSnapshot) -> None:
        """Goes on with these weights, of the shape of those before; the state is kept."""

    def reset(self) -> None:
        """Sets every state to zero, a cold start."""

    def prime(self, ids: Iterable[Symbols]) -> FloatArray:
        """Feeds characters [S], one after the other; returns the logits [V, S] after the last."""


MakeKernel = Callable[[WeightSnapshot, int], ColumnKernel]
"""Takes weights and S."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsSoFar:
    """All that the rest of S texts depends on, beside weights and sampling settings."""

    hidden: FloatArray
    """[L, H, S]"""
    cell: FloatArray
    """[L, H, S]"""
    logits: FloatArray
    """[S, V], of the next characters."""
    noises: tuple[GumbelNoise, ...]
    written: int
    """Characters of each."""

    def of_streams(self, streams: slice) -> StreamsSoFar:
        """Returns some of the texts."""
        return StreamsSoFar(
            hidden=self.hidden[:, :, streams],
            cell=self.cell[:, :, streams],
            logits=self.logits[streams],
            noises=self.noises[streams],
            written=self.written,
        )

    @classmethod
    def joined(cls, parts: Sequence[StreamsSoFar]) -> StreamsSoFar:
        """Returns the texts of all parts, which are equally long."""
        return cls(
            hidden=np.concatenate([part.hidden for part in parts], axis=2),
            cell=np.concatenate([part.cell for part in parts], axis=2),
            logits=np.concatenate([part.logits for part in parts]),
            noises=tuple(noise for part in parts for noise in part.noises),
            written=parts[0].written,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenState:
    """A copy of the carried state: ``hidden`` and ``cell``, each [L, H]."""

    hidden: FloatArray
    cell: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSoFar:
    """All that the rest of a text depends on, beside weights and sampling settings."""

    state: HiddenState
    logits: FloatArray
    """[V], of the next character."""
    noise: GumbelNoise
    written: int
    """Characters: the rows of the noise that are used up."""
