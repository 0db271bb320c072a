"""Two models that write one text: their united symbols, and their mixed probabilities. NumPy.

It knows logits and symbols, not networks; ``model.steppers.mixed_stepper`` reads the characters.
Letters: S streams, U united symbols, V symbols of one model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpus import Vocabulary
from model.network.published import PublishedWeights
from model.network.snapshot import FloatArray, WeightSnapshot

LogProbabilities = npt.NDArray[np.float64]
NOT_KNOWN = -1
"""Stands for the id of a symbol that a model lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """One of the two models, and how its symbols stand among the united ones."""

    snapshot: WeightSnapshot
    window: int | None
    """As in ``CharacterStream``."""
    own_ids: npt.NDArray[np.intp]
    """[U]: the model's id of each united symbol, or ``NOT_KNOWN``."""
    united_ids: npt.NDArray[np.intp]
    """[V]: the united id of each of the model's symbols."""

    @classmethod
    def of(cls, published: PublishedWeights, united: Vocabulary) -> Author:
        """Returns an author for weights whose symbols are all among the united ones."""
        united_ids = united.encode("".join(published.vocabulary.symbols)).astype(np.intp)
        own_ids = np.full(len(united), NOT_KNOWN, np.intp)
        own_ids[united_ids] = np.arange(len(united_ids))
        return cls(
            snapshot=published.snapshot,
            window=published.window,
            own_ids=own_ids,
            united_ids=united_ids,
        )

    def has_shape_of(self, other: Author) -> bool:
        """Whether a stepper of the other author can go on with this one."""
        return (
            self.window == other.window
            and np.array_equal(self.own_ids, other.own_ids)
            and self.snapshot.has_shape_of(other.snapshot)
        )

    def united_logits(self, logits: FloatArray) -> FloatArray:
        """Returns logits [U, ...] for logits [V, ...]: -inf for symbols that the model lacks."""
        united = np.full((len(self.own_ids), *logits.shape[1:]), -np.inf, np.float32)
        united[self.united_ids] = logits
        return united


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedSnapshot(WeightSnapshot):
    """Frozen weights of two models, and the weight of the second one."""

    authors: tuple[Author, Author]
    mix: float
    """Weight of the second model's probabilities, 0 to 1."""

    def has_shape_of(self, other: WeightSnapshot) -> bool:
        """Whether a stepper of the other weights can go on with these."""
        return isinstance(other, MixedSnapshot) and all(
            one.has_shape_of(another)
            for one, another in zip(self.authors, other.authors, strict=True)
        )


def mixture(first: PublishedWeights, second: PublishedWeights, mix: float) -> PublishedWeights:
    """Returns weights that write with both models; their vocabulary is the united one.

    Args:
        first: weights that alone would write at ``mix`` 0.
        second: weights that alone would write at ``mix`` 1.
        mix: weight of the second model's probabilities, 0 to 1.
    """
    united = first.vocabulary.united_with(second.vocabulary)
    snapshot = MixedSnapshot(
        step=first.snapshot.step,
        authors=(Author.of(first, united), Author.of(second, united)),
        mix=mix,
    )
    # Each author has its own window, which its reader obeys.
    return PublishedWeights(snapshot=snapshot, vocabulary=united, best=first.best)


def sole_author(
    first: PublishedWeights, second: PublishedWeights, mix: float
) -> PublishedWeights | None:
    """Returns the model that writes the same text alone; None if both are needed.

    Alone it is quicker. With other symbols, the united ones would have other random numbers.
    """
    if mix not in {0, 1} or first.vocabulary != second.vocabulary:
        return None
    return second if mix else first


def mixed_logits(first: FloatArray, second: FloatArray, mix: float) -> FloatArray:
    """Returns logits [U, ...] of ``(1 - mix) * p_first + mix * p_second`` at temperature 1.

    Computed as the logarithm of a sum of exponentials, in float64, so that no probability
    underflows. At ``mix`` 0 and 1 the logits of one model are returned, bit for bit.

    Args:
        first: logits [U, ...] of the first model; -inf for symbols that it lacks.
        second: logits [U, ...] of the second model.
        mix: weight of the second model's probabilities, 0 to 1.
    """
    if mix <= 0:
        return first
    if mix >= 1:
        return second
    mixed: FloatArray = np.logaddexp(
        log_softmax(first) + math.log1p(-mix), log_softmax(second) + math.log(mix)
    ).astype(np.float32)
    return mixed


def log_softmax(logits: FloatArray) -> LogProbabilities:
    """Returns the logarithms of the probabilities along the first axis, in float64."""
    values = np.asarray(logits, np.float64)
    shifted: LogProbabilities = values - np.maximum.reduce(values, axis=0, keepdims=True)
    shifted -= np.log(np.add.reduce(np.exp(shifted), axis=0, keepdims=True))
    return shifted
