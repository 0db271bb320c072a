"""A character n-gram model: the probabilities of a text's grams, as a tree in flat arrays.

A node is a gram: the root is the empty one, and the children of a node are the grams of one
character more, sorted by that character. Nodes are numbered level by level, so the children of
node i are the nodes ``starts[i]`` to ``starts[i + 1]``. Node 1 stands for all grams that the text
lacks, and has no children. Letters: N nodes, C nodes that can be contexts, V vocabulary, T time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.ngram.counts import count_grams
from model.ngram.smoothing import Weights, smoothed

MAX_ORDER: Final = 8
"""Characters of context that users may ask for; more than 6 predict no better."""
MAX_BYTES: Final = 600_000_000
"""Memory that building a model may take."""
BYTES_PER_CHARACTER: Final = 60
"""Upper bound of what building takes up to `MAX_ORDER`, measured: 28 to 59 (docs/ladder.md)."""
MAX_CHARACTERS: Final = MAX_BYTES // BYTES_PER_CHARACTER
"""Characters that are counted; of a longer text, these are the last ones."""
ROOT: Final = 0
UNSEEN: Final = 1
MIXED_SHARE: Final = 0.2
"""Share of an n-gram in its mixture with a network: near the best one of several runs."""
SCORED_TOGETHER: Final = 1 << 18
"""Characters that are scored at a time."""

Nodes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NgramModel:
    """Predicts a character from the ``order`` characters before it; arrays are read-only."""

    order: int
    """Characters of context; with 0 only the frequency of each character counts."""
    vocabulary_size: int
    """V."""
    characters: int
    """Characters that were counted."""
    text_characters: int
    """Characters of the text that was given, of which only the last `MAX_CHARACTERS` count."""
    depth: int
    """Characters of the longest context with a node: the order, or less for a very short text;
    -1 for an empty text."""
    starts: NDArray[np.uint32]
    """[C + 1], the first child of each node."""
    shares: Weights
    """[C], the share of the shorter context's probabilities, 0 to 1."""
    symbols: NDArray[Any]
    """[N], the id of each node's last character."""
    gains: Weights
    """[N], a gram's probability beyond that of its shorter gram, 0 to 1."""

    @classmethod
    def build(
        cls,
        ids: NDArray[Any],
        symbols: int,
        order: int,
        *,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> NgramModel:
        """Counts a text; a million characters take about a second for order 5.

        Args:
            ids: the text, one-dimensional, unsigned.
            symbols: V.
            order: characters of context, at least 0.
            cancelled: is asked a few times.

        Raises:
            BuildCancelled: ``cancelled`` returned true.
        """
        counted = ids[-MAX_CHARACTERS:]
        children, shares = [np.zeros(0, np.uint32)], [np.zeros(0, np.float32)]
        last, gains = [np.zeros(2, ids.dtype)], [np.zeros(2, np.float32)]
        contexts, depth = 1, -1
        for depth, grams in enumerate(count_grams(counted, symbols, order, cancelled)):
            gain, share = smoothed(grams, contexts)
            children.append(np.bincount(grams.contexts, minlength=contexts).astype(np.uint32))
            if depth == 0:  # after the root stands the node of unseen grams
                children.append(np.zeros(1, np.uint32))
                share = np.append(share, np.float32(1))
            shares.append(share)
            last.append(grams.symbols)
            gains.append(gain)
            contexts = len(gain)
        starts = np.cumsum(np.concatenate([np.array([2], np.uint32), *children]), dtype=np.uint32)
        return cls(
            order=order,
            vocabulary_size=symbols,
            characters=len(counted),
            text_characters=len(ids),
            depth=depth,
            starts=_frozen(starts),
            shares=_frozen(np.concatenate(shares)),
            symbols=_frozen(np.concatenate(last)),
            gains=_frozen(np.concatenate(gains)),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        arrays = (self.starts, self.shares, self.symbols, self.gains)
        return sum(array.nbytes for array in arrays)

    @property
    def note(self) -> str:
        """A sentence about a text that was too large; empty if all of it was counted."""
        if self.characters == self.text_characters:
            return ""
        return (
            f"the {self.order}-gram counts the last {self.characters:,} of "
            f"{self.text_characters:,} characters"
        )

    def nats(self, ids: NDArray[Any]) -> float:
        """Returns the mean nats per character of a text; the counts stay as they are.

        The first characters have fewer characters of context.

        Args:
            ids: the text [T]; NaN if it is empty.
        """
        total = 0.0
        for part in self._in_parts(ids):
            total -= float(np.log(part).sum())
        return total / len(ids) if len(ids) else math.nan

    def nats_alone_and_mixed(
        self, ids: NDArray[Any], losses: NDArray[np.float32], share: float
    ) -> tuple[float, float]:
        """Returns what `nats` does, and the mean of a mixture with another model.

        Args:
            ids: the text [T], T > 1.
            losses: nats [T - 1] of the other model. It has none for the first character, which the
                mean of the mixture leaves out.
            share: of this model's probabilities in the mixture, above 0 and below 1.
        """
        alone, mixed, place = 0.0, 0.0, 0
        for part in self._in_parts(ids):
            alone -= float(np.log(part).sum())
            others = losses[max(0, place - 1) : place + len(part) - 1].astype(np.float64)
            own = part[len(part) - len(others) :]
            mixed -= float(np.log(share * own + (1 - share) * np.exp(-others)).sum())
            place += len(part)
        return alone / len(ids), mixed / len(losses)

    def _in_parts(self, ids: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
        """Yields what `probabilities` returns, some characters of the text at a time."""
        for first in range(0, len(ids), SCORED_TOGETHER):
            context = min(first, self.order)
            yield self.probabilities(ids[first - context : first + SCORED_TOGETHER])[context:]

    def probabilities(self, ids: NDArray[Any]) -> NDArray[np.float64]:
        """Returns the probability [T] of each character after those before it.

        Args:
            ids: the text [T].
        """
        probabilities = np.full(len(ids), 1 / self.vocabulary_size)
        nodes = np.full(len(ids), ROOT, np.int64)
        for _ in range(self.depth + 1):
            found = self.children(nodes, ids)
            probabilities *= self.shares[nodes]
            probabilities += self.gains[found]
            nodes = np.append(UNSEEN, found[:-1])
        return probabilities

    def children(self, nodes: Nodes, ids: NDArray[Any]) -> Nodes:
        """Returns the child of each node by an id, `UNSEEN` if it has none; broadcasts.

        Args:
            nodes: nodes that can be contexts.
            ids: the characters that follow them.
        """
        low, end = self.starts[nodes].astype(np.int64), self.starts[nodes + 1].astype(np.int64)
        high = end
        for _ in range(self.vocabulary_size.bit_length()):
            middle = (low + high) // 2
            goes_up = (low < high) & (self.symbols.take(middle, mode="clip") < ids)
            low, high = np.where(goes_up, middle + 1, low), np.where(goes_up, high, middle)
        is_there = (low < end) & (self.symbols.take(low, mode="clip") == ids)
        return np.where(is_there, low, UNSEEN)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
