"""A thread that plays the model's part in a duel: it reads what the user reads. NumPy, no torch.

It starts with the first duel and waits for letters that the user has solved. The trainer and the
sampler do not wait for it.
"""

from __future__ import annotations

import math
import queue
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from corpus import Split, Vocabulary
from model.commands import DuelCommand, JudgeLetter, StartDuel
from model.duel.passage import MIN_CHARACTERS, choose_passage
from model.duel.score import MAX_BITS, LetterPlayed
from model.events import DuelEvent, DuelLetterJudged, DuelRefused, DuelStarted
from model.network.published import PublishedWeights
from model.sampling.distribution import softmax
from model.session.duel_scores import DuelScores
from model.steppers.mixed_stepper import numpy_stepper

COUNTED_CHARACTERS: Final = 1 << 20
"""Characters of the training part whose symbols are counted."""


@dataclass(frozen=True, slots=True)
class _TextReady:
    """The parts of the text are known."""

    split: Split
    scores: DuelScores


@dataclass(frozen=True, slots=True)
class _WeightsReady:
    """The first weights are there."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """There will be no text."""

    reason: str


_Task = DuelCommand | _TextReady | _WeightsReady | _Refused


@dataclass(frozen=True, slots=True)
class _Passage:
    """The passage that is played."""

    ids: Sequence[int]
    seed: int


class DuelThread:
    """Chooses passages of the held-out text, and lets the newest weights guess their letters."""

    def __init__(self, put: Callable[[DuelEvent], None]) -> None:
        """Starts no thread yet.

        Args:
            put: receives each event; called from the thread.
        """
        self._put = put
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._latest: PublishedWeights | None = None
        self._text: _TextReady | _Refused | None = None
        self._wanted: StartDuel | None = None
        """The duel that waits for the text and the first weights."""
        self._passage: _Passage | None = None

    def publish(self, published: PublishedWeights) -> None:
        """Replaces the weights for the next letter; never blocks."""
        is_first, self._latest = self._latest is None, published
        if is_first:
            self._tasks.put(_WeightsReady())

    def use_text(self, split: Split, scores: DuelScores) -> None:
        """Hands over the text; never blocks.

        Args:
            split: the parts of the text that the published weights learn.
            scores: where scores are kept.
        """
        self._tasks.put(_TextReady(split, scores))

    def refuse(self, reason: str) -> None:
        """Says in a sentence why there is no text; never blocks."""
        self._tasks.put(_Refused(reason))

    def post(self, command: DuelCommand) -> None:
        """Queues a command; the first one starts the thread."""
        self._tasks.put(command)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="duel", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end after the current letter."""
        self._tasks.put(None)

    # --- inside the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (task := self._tasks.get()) is not None:
                self._perform(task)
        except Exception as error:  # noqa: BLE001 - the top of a worker: a defect becomes an event
            self._put(DuelRefused(reason=f"The duel stopped because of a defect: {error!r}"))

    def _perform(self, task: _Task) -> None:
        match task:
            case _TextReady() | _Refused():
                self._text = task
            case StartDuel():
                self._wanted = task
            case JudgeLetter():
                self._judge(task)
            case _WeightsReady():
                pass
        published = self._latest
        if self._wanted is None or self._text is None or published is None:
            return
        if isinstance(self._text, _Refused):
            self._put(DuelRefused(reason=self._text.reason))
        else:
            self._begin(self._wanted, self._text, published.vocabulary)
        self._wanted = None

    def _begin(self, command: StartDuel, text: _TextReady, vocabulary: Vocabulary) -> None:
        seed = random.SystemRandom().randrange(10**6) if command.seed is None else command.seed
        held_out = text.split.held_out
        passage = choose_passage(len(held_out), seed)
        if passage is None:
            self._put(DuelRefused(reason=_too_little(len(held_out))))
            return
        text.scores.begin()
        ids = held_out[passage.start : passage.end].tolist()
        self._passage = _Passage(ids, seed)
        counts = np.bincount(text.split.train[:COUNTED_CHARACTERS], minlength=len(vocabulary))
        self._put(
            DuelStarted(
                text=vocabulary.decode(ids),
                context=passage.first_letter - passage.start,
                by_frequency=tuple(vocabulary.decode(np.argsort(-counts, kind="stable"))),
                seed=seed,
                not_kept=text.scores.not_kept,
            )
        )

    def _judge(self, command: JudgeLetter) -> None:
        passage, published, text = self._passage, self._latest, self._text
        assert passage is not None, "a letter is solved in a passage"
        assert published is not None
        assert isinstance(text, _TextReady)
        place = command.place
        rank, bits = guess_of(published, passage.ids[:place], passage.ids[place])
        letter = LetterPlayed(
            seed=passage.seed,
            place=place,
            step=published.snapshot.step,
            rank=command.rank,
            gave_up=command.gave_up,
            model_rank=rank,
            model_bits=bits,
        )
        text.scores.keep(letter)
        self._put(DuelLetterJudged(letter=letter, not_kept=text.scores.not_kept))


def guess_of(published: PublishedWeights, before: Sequence[int], answer: int) -> tuple[int, float]:
    """Returns the model's rank of a character, from 1, and the bits that it costs the model.

    The model reads exactly these characters from a cold start, with these weights. Equally likely
    symbols rank in the order of their ids.

    Args:
        published: the weights.
        before: ids of the characters before it, oldest first, at least one.
        answer: id of the character.
    """
    stepper = numpy_stepper(published.snapshot)
    window = published.window
    probabilities = softmax(stepper.prime(before if window is None else before[-window:]))
    return rank_of(probabilities, answer), bits_of(float(probabilities[answer]))


def rank_of(probabilities: npt.NDArray[np.float64], answer: int) -> int:
    """Returns the place of a symbol among all [V], the most likely first; from 1."""
    likelier = int(np.count_nonzero(probabilities > probabilities[answer]))
    return 1 + likelier + int((probabilities[:answer] == probabilities[answer]).sum())


def bits_of(probability: float) -> float:
    """Returns -log2 of a probability, at most ``MAX_BITS``."""
    return min(MAX_BITS, max(0.0, -math.log2(probability))) if probability > 0 else MAX_BITS


def _too_little(characters: int) -> str:
    if not characters:
        remedy = "give a longer text or a larger --validation-fraction"
        return f"This run holds no text out, so there is nothing to guess; {remedy}."
    held_out = "1 character is" if characters == 1 else f"{characters} characters are"
    return f"The text is short: {held_out} held out, and a duel needs {MIN_CHARACTERS}."
