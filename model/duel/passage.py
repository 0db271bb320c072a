"""A passage of the held-out text: what is read first, and the letters that are guessed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

CONTEXT: Final = 200
"""Characters that both players read before the first guess; Shannon's readers had 100."""
LETTERS: Final = 500
"""Maximum number of letters to guess."""
MIN_CHARACTERS: Final = 40
"""Minimum length of a held-out text that has a passage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Where a passage lies in the held-out text, as offsets of characters."""

    start: int
    first_letter: int
    """Offset of the first letter to guess; what is before it is read."""
    end: int


def choose_passage(characters: int, seed: int) -> Passage | None:
    """Returns a passage of a held-out text; None if that is too short.

    Each passage that fits is equally likely. At most half of a short text is read first.

    Args:
        characters: length of the held-out text.
        seed: the same seed chooses the same passage.
    """
    if characters < MIN_CHARACTERS:
        return None
    context = min(CONTEXT, characters // 2)
    length = min(characters, context + LETTERS)
    start = random.Random(seed).randint(0, characters - length)  # noqa: S311 - no secret
    return Passage(start=start, first_letter=start + context, end=start + length)
