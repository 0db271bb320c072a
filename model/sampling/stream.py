"""A stream of characters from a weight snapshot: one step, one draw, one character. NumPy.

It needs no torch, so it writes while torch is still being imported, and a saved run writes without
torch. It knows no thread and no clock; `model.session.sampler_thread` paces it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from corpus import Vocabulary
from model.config import SamplingConfig
from model.constraint_config import NO_CONSTRAINTS, Constraints
from model.constraints.line_rules import FIRST_LINE
from model.events import (
    AdjustedCandidate,
    Candidate,
    CharacterWritten,
    LineDrafted,
    NextDistribution,
)
from model.network.snapshot import FloatArray, WeightSnapshot
from model.sampling.distribution import adjusted, choose, entropy, mask_bits, masked, softmax
from model.sampling.drafts import DraftStart
from model.sampling.fork_history import HISTORY, Position, Trunk
from model.sampling.line_writer import LineWriter
from model.sampling.noise import GumbelNoise
from model.sampling.prompt import first_ids
from model.steppers.mixed_stepper import MixedStepper, numpy_stepper
from model.steppers.mixture import MixedSnapshot

MAX_DESCRIBED_CHARACTERS = 24
"""Characters of a distribution that are reported before a draw: the rows of a tall pane."""

REREAD_CHARACTERS = 64
"""Characters of the text that give the state again; a sequence of most trainings is as long."""


class CharacterStream:
    """Writes without end; ``sampling`` and ``snapshot`` may change between two characters.

    Each character takes exactly one row of the seed's noise, or comes from a draft, whose noise
    depends on the seed and on where it begins. A text therefore depends only on the seed, the
    prompt, the weights, the constraints and the sampling settings.

    With rules for lines, other sampling settings hold for the next character too: the rest of the
    line is drafted again. Other weights write from the next line on.
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
            vocabulary: what the ids mean; as many symbols as the snapshot has.
            sampling: how characters are drawn.
            seed: of the random generator.
            prompt: text within the vocabulary (see ``corpus.fit_prompt``). An empty one starts as
                if a line had just ended.
            window: characters that each one is predicted from, with a cold start, as the classic
                notebook does; None carries the state instead.
            candidates: how many of the most likely characters each character reports.
        """
        self._sampling = sampling
        self.watched: tuple[int, int] | None = None
        """Layer and hidden unit whose activation each character reports."""
        self._vocabulary = vocabulary
        self._snapshot = snapshot
        self._stepper = numpy_stepper(snapshot)
        self._window = window
        self._candidates = min(candidates, len(vocabulary))
        self._writer = LineWriter(NO_CONSTRAINTS, vocabulary)
        self.restart(seed=seed, prompt=prompt)

    @property
    def sampling(self) -> SamplingConfig:
        """How characters are drawn, from the next one on."""
        return self._sampling

    @sampling.setter
    def sampling(self, sampling: SamplingConfig) -> None:
        if sampling != self._sampling:
            self._sampling = sampling
            self._writer.forget_plan()

    def constrain(self, constraints: Constraints) -> None:
        """Obeys other constraints from the next character on; a poem begins at its first line.

        Raises:
            ConfigError: the model cannot obey; those before still hold.
        """
        writer = LineWriter(constraints, self._vocabulary)
        self._writer.close()
        self._writer = writer
        writer.resume(self._line_so_far(), FIRST_LINE)

    def take_drafted(self) -> LineDrafted | None:
        """Returns what became of drafts since the last call; None if there were none."""
        drafted, self._writer.drafted = self._writer.drafted, None
        return drafted

    def close(self) -> None:
        """Ends the child process of a pattern, if there is one."""
        self._writer.close()

    @property
    def snapshot(self) -> WeightSnapshot:
        """The weights in use; assigning others of the same shape keeps the state."""
        return self._snapshot

    @snapshot.setter
    def snapshot(self, snapshot: WeightSnapshot) -> None:
        self._stepper.adopt(snapshot)
        self._snapshot = snapshot

    def reread(self) -> None:
        """Computes the state from the end of the text, read from a cold start.

        A state that many weights have computed in turn may be one that the present weights never
        meet in training: the text then stays noise although the network has learned.
        """
        if self._window is None and self._places:
            ids = [place.chosen for place in self._places]
            self._stepper.reset()
            self._logits = self._stepper.prime(ids[-REREAD_CHARACTERS:])

    def set_mix(self, mix: float) -> bool:
        """Sets the weight of the second model from the next character on.

        Returns:
            False, and nothing changes, if one model writes.
        """
        if not isinstance(self._snapshot, MixedSnapshot):
            return False
        self.snapshot = replace(self._snapshot, mix=mix)
        self._logits = self._stepper.prime(())
        self._writer.forget_plan()
        return True

    @property
    def vocabulary(self) -> Vocabulary:
        """What the ids mean."""
        return self._vocabulary

    def has_unit(self, layer: int, unit: int) -> bool:
        """Whether the network has this hidden unit."""
        shape: tuple[int, ...] = self._stepper.outputs().shape
        return 0 <= layer < shape[0] and 0 <= unit < shape[1]

    def restart(self, *, seed: int, prompt: str) -> None:
        """Starts another text: resets the state and the noise, and reads the prompt."""
        self._noise = GumbelNoise(seed, len(self._vocabulary))
        self._written = 0
        self._prompt = prompt
        ids = first_ids(prompt, self._vocabulary)
        self._stepper.reset()
        self._recent: deque[int] = deque(ids, maxlen=self._window or 1)
        self._logits = self._stepper.prime(ids)
        self._places: deque[Position] = deque(maxlen=HISTORY)
        self._trunk: Trunk | None = None
        self._writer.resume(self._line_so_far(), FIRST_LINE)

    def step(self) -> CharacterWritten:
        """Writes one character and reports all figures of it.

        Raises:
            ConfigError: the pattern of the constraints takes too long.
        """
        logits, allowed = self._current_logits(), self._writer.allowed
        probabilities = softmax(logits)
        cost = None if allowed is None else float(mask_bits(logits, allowed))
        chosen = self._choose()
        spread, candidates = entropy(probabilities), self._top(probabilities)
        stepper = self._stepper
        log_ratio = stepper.log_ratio(chosen) if isinstance(stepper, MixedStepper) else None
        self._places.append(self._place(chosen))
        self._read(chosen)
        watched = self.watched
        return CharacterWritten(
            character=self._vocabulary.decode([chosen]),
            probability=float(probabilities[chosen]),
            entropy=spread,
            candidates=candidates,
            activation=None if watched is None else float(self._stepper.outputs()[watched]),
            mask_bits=cost,
            log_ratio=log_ratio,
        )

    def fork(self, back: int, character: str) -> bool:
        """Takes back the last characters and writes another one in the place of the first.

        The state of that position is restored exactly, and each position keeps its noise. The text
        after a fork therefore differs only because of the forked character.

        Args:
            back: how many characters to take back.
            character: the one to write instead.

        Returns:
            False, and nothing changes, if the history is shorter or the vocabulary lacks the
            character.
        """
        if not 1 <= back <= len(self._places) or character not in self._vocabulary:
            return False
        kept = len(self._places) - back
        if self._trunk is None:
            self._trunk = Trunk(
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
        """Undoes all forks: restores the text as it was before the first one.

        Returns:
            How many characters are taken back, and the characters that replace them; None without
            a fork.
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

    def _place(self, chosen: int) -> Position:
        """Returns the current position, before a character is read."""
        state = self._stepper.state if self._window is None else None
        return Position(
            state=state,
            recent=tuple(self._recent),
            written=self._written,
            chosen=chosen,
            line=self._writer.place,
        )

    def _restore(self, place: Position) -> None:
        self._written = place.written
        self._recent = deque(place.recent, maxlen=self._window or 1)
        if place.state is not None:
            self._stepper.state = place.state
            self._logits = self._stepper.prime(())
        self._writer.resume(self._line_so_far(), place.line)

    def _line_so_far(self) -> str:
        """Returns the characters since the last line feed, as far as they are kept."""
        places = self._places
        past = self._vocabulary.decode([place.chosen for place in places])
        if self._written <= len(places):
            past = self._prompt + past
        return past.rpartition("\n")[2]

    def describe_next(self, count: int = MAX_DESCRIBED_CHARACTERS) -> NextDistribution:
        """Returns the distribution of the next character; writes nothing.

        Args:
            count: how many of the most likely characters to describe.
        """
        logits = self._current_logits()
        shown = masked(logits, self._writer.allowed)
        probabilities, used = softmax(logits), adjusted(shown, self.sampling)
        order = np.argsort(-probabilities, kind="stable")[:count]
        symbols = self._vocabulary.decode(order)
        return NextDistribution(
            candidates=tuple(
                AdjustedCandidate(
                    character=symbol, probability=float(probabilities[i]), adjusted=float(used[i])
                )
                for symbol, i in zip(symbols, order, strict=True)
            ),
            entropy=entropy(probabilities),
            adjusted_entropy=entropy(used),
            kept=int(np.count_nonzero(used)),
        )

    def __iter__(self) -> Iterator[CharacterWritten]:
        """Yields characters without end."""
        while True:
            yield self.step()

    def _current_logits(self) -> FloatArray:
        """Returns the logits [V] of the next character by the current weights."""
        if self._window is not None:
            self._stepper.reset()
            self._logits = self._stepper.prime(self._recent)
        return self._logits

    def _choose(self) -> int:
        planned = self._writer.planned(self._snapshot, self._draft_start)
        if planned is not None:
            return planned
        logits = masked(self._logits, self._writer.allowed)
        return int(choose(logits, self.sampling, self._noise.row(self._written)))

    def _draft_start(self, drafts: int) -> DraftStart:
        """Returns where drafts of the rest of the line begin."""
        return DraftStart(
            state=self._stepper.state if self._window is None else None,
            recent=tuple(self._recent),
            window=self._window,
            sampling=self._sampling,
            allowed=self._writer.allowed,
            noise=self._noise.of_drafts(self._written, drafts),
        )

    def _read(self, chosen: int) -> None:
        self._written += 1
        self._writer.read(chosen)
        if self._window is None:
            self._logits = self._stepper.prime((chosen,))
        else:
            self._recent.append(chosen)

    def _top(self, probabilities: npt.NDArray[np.float64]) -> tuple[Candidate, ...]:
        """Returns the most likely characters, the most likely first."""
        if not self._candidates:
            return ()
        top = np.argpartition(-probabilities, self._candidates - 1)[: self._candidates]
        top = top[np.argsort(-probabilities[top], kind="stable")]
        symbols: Sequence[str] = self._vocabulary.decode(top)
        return tuple(
            Candidate(character=symbol, probability=float(probabilities[i]))
            for symbol, i in zip(symbols, top, strict=True)
        )
