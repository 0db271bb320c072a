"""The letters that were guessed, as a run keeps them, and the score of both players."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from corpus.counted import counted
from corpus.files.json_text import json_text
from corpus.files.json_values import real, truth, whole
from model.config import MAX_SEED
from model.duel.bounds import Bounds, bounds_of

EVENT: Final = "duel_letter"
"""What the lines of ``duels.jsonl`` say under ``event``."""
MAX_RANK: Final = 0x110000
"""Number of Unicode's code points; no vocabulary has more symbols."""
MAX_BITS: Final = 1_000.0
"""Bits of the least probability that a model's figures hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterPlayed:
    """A letter that both players have guessed."""

    seed: int
    """Of the passage."""
    place: int
    """Of the letter in the passage, from 0; the characters that are read first count."""
    step: int
    """Of the weights that the model used."""
    rank: int
    """Number of the user's guesses, the right one included; see `Duel.give_up`."""
    gave_up: bool
    model_rank: int
    """Place of the letter among the model's symbols, the most likely first; from 1."""
    model_bits: float
    """-log2 of the probability that the model had for the letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuelScore:
    """Bits per character of both players on the same letters."""

    human: Bounds
    """Bounds for the user, by Shannon's method."""
    given_up: int
    """Number of letters that the user gave up."""
    model_bits: float
    """The model's bits per character, exactly."""
    model: Bounds
    """What Shannon's method says of the model, to compare like with like."""

    @property
    def words(self) -> str:
        """The score in a list: ``you 1.50 to 2.61 bits (bounds), model 2.04; 42 letters``."""
        human, letters = self.human, counted(self.human.letters, "letter")
        bounds = f"{human.lower:.2f} to {human.upper:.2f}"
        return f"you {bounds} bits (bounds), model {self.model_bits:.2f}; {letters}"


def score_of(letters: Iterable[LetterPlayed]) -> DuelScore | None:
    """Returns the score of all letters together; None without one."""
    played = list(letters)
    human = bounds_of(letter.rank for letter in played)
    model = bounds_of(letter.model_rank for letter in played)
    if human is None or model is None:
        return None
    return DuelScore(
        human=human,
        given_up=sum(letter.gave_up for letter in played),
        model_bits=math.fsum(letter.model_bits for letter in played) / len(played),
        model=model,
    )


def to_json_line(letter: LetterPlayed) -> str:
    """Returns the line that records a letter."""
    fields = ("seed", "place", "step", "rank", "gave_up", "model_rank", "model_bits")
    return json_text({"event": EVENT, **{name: getattr(letter, name) for name in fields}})


def recorded_letters(records: Iterable[Mapping[str, Any]]) -> Iterator[LetterPlayed]:
    """Yields the letters among the objects of a file, which is foreign; skips everything else."""
    for record in records:
        if record.get("event") != EVENT:
            continue
        try:
            yield LetterPlayed(
                seed=whole("seed", record.get("seed"), 0, MAX_SEED),
                place=whole("place", record.get("place")),
                step=whole("step", record.get("step")),
                rank=whole("rank", record.get("rank"), 1, MAX_RANK),
                gave_up=truth("gave_up", record.get("gave_up")),
                model_rank=whole("model_rank", record.get("model_rank"), 1, MAX_RANK),
                model_bits=real("model_bits", record.get("model_bits"), 0.0, MAX_BITS),
            )
        except ValueError:
            continue
