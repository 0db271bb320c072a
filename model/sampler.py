"""A stream of characters from a weight snapshot: one kernel step, one draw, one character.

Works on NumPy arrays alone, so text is written while torch is still being imported, and a saved
run writes without it. It knows no thread and no clock; ``model.sampler_thread`` paces it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from corpus import Vocabulary
from model.config import SamplingConfig
from model.distribution import choose, entropy, shaped, softmax
from model.events import (
    Candidate,
    CharacterWritten,
    NextCharacterWeighed,
    WeighedCharacter,
)
from model.kernel import LstmKernel
from model.noise import GumbelNoise
from model.snapshot import FloatArray, WeightSnapshot

WEIGHED = 24
"""Characters that are told of before one is drawn: as many as a tall pane has rows for."""


class CharacterStream:
    """Writes without end; ``sampling`` and ``snapshot`` may change between two characters.

    Each character takes exactly one row of the seed's noise, so a text depends on the seed, the
    prompt, the weights and the sampling settings and on nothing else.
    """

    def __init__(
        self,
        snapshot: WeightSnapshot,
        vocabulary: Vocabulary,
        *,
        sampling: SamplingConfig,
        seed: int,
        prompt: str = "",
        window: int | None = None,
        candidates: int = 8,
    ) -> None:
        """Starts cold and reads the prompt.

        Args:
            snapshot: the weights.
            vocabulary: what the ids mean; of the size that the snapshot has.
            sampling: how characters are drawn.
            seed: of the random generator.
            prompt: text within the vocabulary (see ``corpus.fit_prompt``). An empty one starts as
                if a line had just ended.
            window: predict each character from the last ``window`` ones with a cold start, as the
                classic notebook does, instead of carrying the state.
            candidates: how many top candidates each character reports.
        """
        self.sampling = sampling
        self.watched: tuple[int, int] | None = None
        """Layer and hidden unit whose activation each character reports."""
        self._vocabulary = vocabulary
        self._kernel = LstmKernel(snapshot)
        self._window = window
        self._candidates = min(candidates, len(vocabulary))
        self.restart(seed=seed, prompt=prompt)

    @property
    def snapshot(self) -> WeightSnapshot:
        """The weights in use; others of the same shape may be assigned and keep the state."""
        return self._kernel.snapshot

    @snapshot.setter
    def snapshot(self, snapshot: WeightSnapshot) -> None:
        self._kernel.snapshot = snapshot

    @property
    def vocabulary(self) -> Vocabulary:
        """What the ids mean."""
        return self._vocabulary

    def has_unit(self, layer: int, unit: int) -> bool:
        """Whether the network has this hidden unit."""
        return 0 <= layer < len(self.snapshot.layers) and 0 <= unit < self.snapshot.hidden

    def restart(self, *, seed: int, prompt: str) -> None:
        """Begins anew: zero state, fresh noise, the prompt read."""
        self._noise = GumbelNoise(seed, len(self._vocabulary))
        self._written = 0
        ids = first_ids(prompt, self._vocabulary)
        self._kernel.reset()
        self._recent: deque[int] = deque(ids, maxlen=self._window or 1)
        self._logits = self._kernel.prime(ids)

    def step(self) -> CharacterWritten:
        """Writes one character and tells all about it."""
        own = softmax(self._current_logits())
        chosen = self._choose()
        spread, candidates = entropy(own), self._top(own)
        self._read(chosen)
        watched = self.watched
        return CharacterWritten(
            character=self._vocabulary.decode([chosen]),
            probability=float(own[chosen]),
            entropy=spread,
            candidates=candidates,
            activation=None if watched is None else self._kernel.activation(*watched),
        )

    def weigh(self, count: int = WEIGHED) -> NextCharacterWeighed:
        """Tells what the next character will be drawn from; writes nothing.

        Args:
            count: characters to tell of.
        """
        logits = self._current_logits()
        own, drawn = softmax(logits), shaped(logits, self.sampling)
        order = np.argsort(-own, kind="stable")[:count]
        symbols = self._vocabulary.decode(order)
        return NextCharacterWeighed(
            candidates=tuple(
                WeighedCharacter(character=symbol, own=float(own[i]), shaped=float(drawn[i]))
                for symbol, i in zip(symbols, order, strict=True)
            ),
            entropy=entropy(own),
            shaped_entropy=entropy(drawn),
            kept=int(np.count_nonzero(drawn)),
        )

    def write(self) -> tuple[int, float]:
        """Writes one character as fast as can be; returns its id and its own probability."""
        logits = self._current_logits()
        chosen = self._choose()
        weights = np.exp(logits - np.maximum.reduce(logits))
        probability = float(weights[chosen] / np.add.reduce(weights))
        self._read(chosen)
        return chosen, probability

    def __iter__(self) -> Iterator[CharacterWritten]:
        """Yields characters without end."""
        while True:
            yield self.step()

    def _current_logits(self) -> FloatArray:
        """Returns what the next character is drawn from, by the weights in use now."""
        if self._window is not None:
            self._kernel.reset()
            self._logits = self._kernel.prime(self._recent)
        return self._logits

    def _choose(self) -> int:
        return int(choose(self._logits, self.sampling, self._noise.row(self._written)))

    def _read(self, chosen: int) -> None:
        self._written += 1
        if self._window is None:
            self._logits = self._kernel.step(chosen)
        else:
            self._recent.append(chosen)

    def _top(self, own: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[Candidate, ...]:
        if not self._candidates:
            return ()
        top = np.argpartition(-own, self._candidates - 1)[: self._candidates]
        top = top[np.argsort(-own[top], kind="stable")]
        symbols: Sequence[str] = self._vocabulary.decode(top)
        return tuple(
            Candidate(character=symbol, probability=float(own[i]))
            for symbol, i in zip(symbols, top, strict=True)
        )


def first_ids(prompt: str, vocabulary: Vocabulary) -> list[int]:
    """Returns what a text is begun with: the prompt's ids, or one that stands for "nothing yet".

    That is a line feed, else a space, else the first symbol.
    """
    if prompt:
        return [int(i) for i in vocabulary.encode(prompt)]
    known = [symbol for symbol in "\n " if symbol in vocabulary]
    return [vocabulary.id_of(known[0]) if known else 0]
