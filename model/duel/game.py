"""The state of one duel: what was guessed, what counts, and whose turn it is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from model.duel.score import DuelScore, LetterPlayed, score_of

Verdict = Literal["right", "wrong", "tried", "unknown", "over"]
"""``tried`` and ``unknown`` do not count: the letter was guessed before, or no text has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """A letter that the user has found or given up."""

    place: int
    character: str
    rank: int
    """As in `LetterPlayed`."""
    gave_up: bool


class Duel:
    """One passage, letter by letter. The user goes first; the model's figures follow."""

    def __init__(self, text: str, context: int, by_frequency: Sequence[str], *, seed: int) -> None:
        """Starts at the first letter to guess.

        Args:
            text: the passage.
            context: number of its characters that are read first.
            by_frequency: every symbol of the vocabulary once, the most frequent first.
            seed: of the passage.
        """
        self.text = text
        self.context = context
        self.seed = seed
        self.solved: list[Solved] = []
        self.tried: list[str] = []
        """Wrong guesses at the present letter, in order."""
        self._by_frequency = tuple(by_frequency)
        self._symbols = frozenset(by_frequency)
        self._played: dict[int, LetterPlayed] = {}

    @property
    def place(self) -> int:
        """Index in the text of the letter to guess."""
        return self.context + len(self.solved)

    @property
    def is_over(self) -> bool:
        """Whether all letters of the passage are solved."""
        return self.place >= len(self.text)

    def guess(self, symbol: str) -> Verdict:
        """Takes a guess; a right one goes on to the next letter."""
        if self.is_over:
            return "over"
        if symbol not in self._symbols:
            return "unknown"
        if symbol in self.tried:
            return "tried"
        if symbol != self.text[self.place]:
            self.tried.append(symbol)
            return "wrong"
        self._solve(len(self.tried) + 1, gave_up=False)
        return "right"

    def give_up(self) -> None:
        """Goes on to the next letter without a right guess.

        The symbols that were not tried count as guessed after the tried ones, in the order of how
        frequent they are in the text. It is the one order that needs no reader. So each letter has
        a number of guesses from which a reader who guesses like the user can still recover the
        text: the upper bound stays true. No letter is left out, because those would be the hard
        ones.
        """
        if self.is_over:
            return
        answer, tried = self.text[self.place], set(self.tried)
        left = [symbol for symbol in self._by_frequency if symbol not in tried]
        self._solve(len(tried) + 1 + left.index(answer), gave_up=True)

    def judge(self, letter: LetterPlayed) -> None:
        """Adds the model's figures for a solved letter of this passage; ignores other letters."""
        if letter.seed == self.seed and self.context <= letter.place < self.place:
            self._played[letter.place] = letter

    def played_at(self, place: int) -> LetterPlayed | None:
        """Returns the letter at a place with the figures of both; None before the model's."""
        return self._played.get(place)

    @property
    def score(self) -> DuelScore | None:
        """The score of the letters that both have guessed; None without one."""
        return score_of(self._played.values())

    def _solve(self, rank: int, *, gave_up: bool) -> None:
        character = self.text[self.place]
        self.solved.append(
            Solved(place=self.place, character=character, rank=rank, gave_up=gave_up)
        )
        self.tried = []
