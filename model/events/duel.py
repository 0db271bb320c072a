"""Events of a duel: the user and the model guess the letters of a held-out passage."""

from __future__ import annotations

from dataclasses import dataclass

from model.duel.score import LetterPlayed


@dataclass(frozen=True, slots=True, kw_only=True)
class DuelStarted:
    """A passage was chosen."""

    text: str
    """The passage."""
    context: int
    """Number of its characters that are read first."""
    by_frequency: tuple[str, ...]
    """Every symbol of the vocabulary once, the most frequent in the text first."""
    seed: int
    not_kept: str = ""
    """Why the score is not kept, as a clause; empty if it is kept with the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuelRefused:
    """There can be no duel."""

    reason: str
    """A sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuelLetterJudged:
    """The model has guessed a letter that the user has solved."""

    letter: LetterPlayed
    not_kept: str = ""
    """Why the letter is not kept, as a clause; empty if it is kept with the run."""


DuelEvent = DuelStarted | DuelRefused | DuelLetterJudged
