"""Steps texts through an n-gram model, as a `BatchStepper` does it with a network. NumPy.

The context of a text is its last characters, so that is the whole state.
Letters: S streams, V vocabulary, O order.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from model.ngram.ngram_model import ROOT, UNSEEN, NgramModel
from model.ngram.smoothing import Weights

_NONE = -1
"""In the state, stands for a character before the beginning of the text."""


class NgramStepper:
    """Steps S streams side by side."""

    def __init__(self, model: NgramModel, streams: int) -> None:
        self._model = model
        # Row d holds the nodes of the last d characters.
        self._nodes = np.empty((model.depth + 1, streams), np.int64)
        self._recent = np.empty((model.order, streams), np.float32)
        self.reset()

    def adopt(self, snapshot: object) -> None:
        """Does nothing, because counts do not change while a network learns."""

    def reset(self) -> None:
        """Forgets all characters, a cold start."""
        self._nodes.fill(UNSEEN)
        self._nodes[:1] = ROOT
        self._recent.fill(_NONE)

    @property
    def state(self) -> tuple[Weights, ...]:
        """A copy of the last ids of each stream, [O, S]; assigning one restores it."""
        return (self._recent.copy(),)

    @state.setter
    def state(self, state: tuple[Weights, ...]) -> None:
        (recent,) = state
        self.reset()
        for row in recent:
            self._read(row.astype(np.intp))

    def prime(self, ids: Iterable[NDArray[np.intp]]) -> Weights:
        """Reads characters [S] in turn; returns the logits [V, S] after the last."""
        for symbols in ids:
            self._read(symbols)
        return self._logits()

    def advance(self, ids: NDArray[np.intp]) -> Weights:
        """Reads a character [S]; returns the logits [V, S], logarithms of probabilities."""
        return self.prime([ids])

    def _read(self, ids: NDArray[np.intp]) -> None:
        self._nodes[1:] = self._model.children(self._nodes[:-1], ids)
        if len(self._recent):
            self._recent[:-1] = self._recent[1:]
            self._recent[-1] = ids

    def _logits(self) -> Weights:
        model = self._model
        probabilities = np.full(
            (self._nodes.shape[1], model.vocabulary_size), 1 / model.vocabulary_size
        )
        firsts, ends = model.starts[self._nodes], model.starts[self._nodes + 1]
        shares = model.shares[self._nodes]
        for stream in range(len(probabilities)):
            row = probabilities[stream]
            for first, end, share in zip(
                firsts[:, stream], ends[:, stream], shares[:, stream], strict=True
            ):
                row *= share
                row[model.symbols[first:end]] += model.gains[first:end]
        logits: Weights = np.log(probabilities.T).astype(np.float32)
        return logits
