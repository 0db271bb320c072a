"""A stream of characters from a weight snapshot: one kernel step, one draw, one character.

Works on NumPy arrays alone, so text is written while torch is still being imported, and a saved
run writes without it. It knows no thread and no clock; ``model.session.sampler_thread`` paces it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from corpus import Vocabulary
from model.config import SamplingConfig
from model.events import (
    Candidate,
    CharacterWritten,
    NextCharacterWeighed,
    WeighedCharacter,
)
from model.network.snapshot import FloatArray, WeightSnapshot
from model.sampling.distribution import choose, entropy, shaped, softmax
from model.sampling.fork_history import HISTORY, _Place, _Trunk
from model.sampling.noise import GumbelNoise
from model.sampling.numpy_lstm import LstmStepper
from model.sampling.prompt import first_ids
from model.sampling.stepper import MakeStepper, SamplerState

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
        make_stepper: MakeStepper = LstmStepper,
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
            make_stepper: creates the stepper for these weights.
        """
        self.sampling = sampling
        self.watched: tuple[int, int] | None = None
        """Layer and hidden unit whose activation each character reports."""
        self._vocabulary = vocabulary
        self._snapshot = snapshot
        self._stepper = make_stepper(snapshot)
        self._window = window
        self._candidates = min(candidates, len(vocabulary))
        self.restart(seed=seed, prompt=prompt)

    @property
    def snapshot(self) -> WeightSnapshot:
        """The weights in use; others of the same shape may be assigned and keep the state."""
        return self._snapshot

    @snapshot.setter
    def snapshot(self, snapshot: WeightSnapshot) -> None:
        self._stepper.adopt(snapshot)
        self._snapshot = snapshot

    @property
    def vocabulary(self) -> Vocabulary:
        """What the ids mean."""
        return self._vocabulary

    def has_unit(self, layer: int, unit: int) -> bool:
        """Whether the network has this hidden unit."""
        shape: tuple[int, ...] = self._stepper.outputs().shape
        return 0 <= layer < shape[0] and 0 <= unit < shape[1]

    def restart(self, *, seed: int, prompt: str) -> None:
        """Begins anew: zero state, fresh noise, the prompt read."""
        self._noise = GumbelNoise(seed, len(self._vocabulary))
        self._written = 0
        ids = first_ids(prompt, self._vocabulary)
        self._stepper.reset()
        self._recent: deque[int] = deque(ids, maxlen=self._window or 1)
        self._logits = self._stepper.prime(ids)
        self._places: deque[_Place] = deque(maxlen=HISTORY)
        self._trunk: _Trunk | None = None

    def step(self) -> CharacterWritten:
        """Writes one character and tells all about it."""
        own = softmax(self._current_logits())
        chosen = self._choose()
        spread, candidates = entropy(own), self._top(own)
        self._places.append(self._place(chosen))
        self._read(chosen)
        watched = self.watched
        return CharacterWritten(
            character=self._vocabulary.decode([chosen]),
            probability=float(own[chosen]),
            entropy=spread,
            candidates=candidates,
            activation=None if watched is None else float(self._stepper.outputs()[watched]),
        )

    def fork(self, back: int, character: str) -> bool:
        """Takes back the last characters and writes another one in the place of the first.

        The hidden state of that place is restored exactly; the noise of a place is its own, so what
        is written after a fork differs by the fork alone.

        Args:
            back: how many characters.
            character: of the vocabulary.

        Returns:
            Whether so much of the past is kept; nothing happens else.
        """
        if not 1 <= back <= len(self._places) or character not in self._vocabulary:
            return False
        kept = len(self._places) - back
        if self._trunk is None:
            self._trunk = _Trunk(
                places=tuple(self._places), now=self._place(-1), kept=self._written - back
            )
        elif self._written - back < self._trunk.kept:
            self._trunk.kept = self._written - back
        place = self._places[kept]
        while len(self._places) > kept:
            self._places.pop()
        self._restore(place)
        chosen = self._vocabulary.id_of(character)
        self._places.append(self._place(chosen))
        self._read(chosen)
        return True

    def return_to_trunk(self) -> tuple[int, str] | None:
        """Goes back to where the first fork began and stands at the end of the text from before.

        Returns:
            Characters that are taken back, and those that stand in their place; None without a
            fork.
        """
        trunk, self._trunk = self._trunk, None
        if trunk is None:
            return None
        back = self._written - trunk.kept
        self._places = deque(trunk.places, maxlen=HISTORY)
        self._restore(trunk.now)
        count = trunk.now.written - trunk.kept
        ids = [place.chosen for place in trunk.places[len(trunk.places) - count :]]
        return back, self._vocabulary.decode(ids)

    def _place(self, chosen: int) -> _Place:
        """Returns where the text is, before a character is read."""
        state = self._stepper.state if self._window is None else None
        return _Place(state=state, recent=tuple(self._recent), written=self._written, chosen=chosen)

    def _restore(self, place: _Place) -> None:
        self._written = place.written
        self._recent = deque(place.recent, maxlen=self._window or 1)
        if place.state is not None:
            self._stepper.state = place.state
            self._logits = self._stepper.prime(())

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

    @property
    def window(self) -> int | None:
        """Characters that each one is predicted from, with a cold start; None: all before."""
        return self._window

    def state(self) -> SamplerState:
        """Returns a copy of the state, of one text, for a stream without a window."""
        return SamplerState(
            carried=tuple(part[..., None] for part in self._stepper.state),
            logits=self._logits.copy()[None],
            noises=(self._noise,),
            written=self._written,
        )

    def write(self) -> tuple[int, float]:
        """Writes one character, and tells no more than its id and its own probability."""
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
            self._stepper.reset()
            self._logits = self._stepper.prime(self._recent)
        return self._logits

    def _choose(self) -> int:
        return int(choose(self._logits, self.sampling, self._noise.row(self._written)))

    def _read(self, chosen: int) -> None:
        self._written += 1
        if self._window is None:
            self._logits = self._stepper.prime((chosen,))
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
