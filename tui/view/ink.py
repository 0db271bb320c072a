"""Ink: the colours of the written characters, by their place in the transcript. No widget.

Four kinds of knowledge are kept for every character, so that switching between them colours the
text that is already there: its surprise, whether it is new or copied, the activation of the hidden
unit that was watched, and which of two models had it likelier.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final, Literal

from corpus.novelty import SPAN, Finding, NoveltyIndex, NoveltyTracker
from model.events import CharacterWritten

InkKind = Literal["off", "surprise", "novelty", "unit", "author"]
INKS: Final[tuple[InkKind, ...]] = ("off", "surprise", "novelty", "unit", "author")
"""The last one is for a text of two models."""
STYLES: Final = (
    *(f"surprise-{level}" for level in range(5)),
    "new",
    "copied",
    *(f"unit-{level}" for level in range(5)),
    *(f"author-{level}" for level in range(5)),
)
KEPT: Final = 110_000
SURPRISE_BITS: Final = (1.0, 2.5, 4.5, 7.0)
"""Borders between the levels of surprise, bits."""
UNIT_LEVELS: Final = (-0.6, -0.2, 0.2, 0.6)
"""Borders between the levels of a unit's activation."""
AUTHOR_BITS: Final = (-3.0, -1.0, 1.0, 3.0)
"""Borders between the levels of who speaks, bits by which the second model has it likelier."""
_NEW, _COPIED = 1, 2


class Ink:
    """Surprise, novelty, activation and author of the characters of a transcript."""

    def __init__(self) -> None:
        self.kind: InkKind = "off"
        self._tracker: NoveltyTracker | None = None
        self.text_missing = False
        """Whether there is no text to compare with."""
        self._is_hopeless = False
        self._base = 0  # position of the first character that is kept
        self._surprise = bytearray()
        self._flags = bytearray()
        self._units = bytearray()
        self._authors = bytearray()  # levels from 1; 0 where one model wrote
        self._places: deque[int] = deque(maxlen=SPAN * 10)

    def use_index(self, index: NoveltyIndex | None) -> None:
        """Finds new words and copied spans from now on; None: the text is too long for that."""
        self._is_hopeless = index is None
        self._tracker = None if index is None else NoveltyTracker(index)
        self._places.clear()

    def restart(self) -> None:
        """Starts a new text; spans and words do not cross its start."""
        self._places.clear()
        if self._tracker is not None:
            self._tracker.restart()

    def add(self, position: int, written: Sequence[CharacterWritten]) -> tuple[int, int] | None:
        """Takes characters from this position on.

        Returns:
            The range of earlier positions that look different now, where the novelty is shown.
        """
        changed: list[tuple[int, int]] = []
        for offset, event in enumerate(written):
            place = position + offset
            self._grow_to(place)
            self._flags[place - self._base] = 0
            self._surprise[place - self._base] = surprise_level(event.probability)
            activation = 0.0 if event.activation is None else event.activation
            self._units[place - self._base] = _level(activation, UNIT_LEVELS)
            ratio = event.log_ratio
            level = 0 if ratio is None else 1 + _level(-ratio, AUTHOR_BITS)
            self._authors[place - self._base] = level
            if self._tracker is None:
                continue
            self._places.append(place)
            changed.extend(self._flag(finding) for finding in self._tracker.add(event.character))
        if not changed or self.kind != "novelty":
            return None
        return min(first for first, _ in changed), max(last for _, last in changed)

    def style_at(self, position: int, kind: InkKind | None = None) -> str | None:
        """Returns the name of the style of a character; None for the default style.

        Args:
            position: place of the character in the transcript.
            kind: by what it is coloured; by default, by what the screen shows.
        """
        kind = kind or self.kind
        index = position - self._base
        if not 0 <= index < len(self._surprise):
            return None
        if kind == "surprise":
            return f"surprise-{self._surprise[index]}"
        if kind == "unit":
            return f"unit-{self._units[index]}"
        if kind == "author":
            level = self._authors[index]
            return f"author-{level - 1}" if level else None
        flags = self._flags[index] if kind == "novelty" else 0
        if flags & _NEW:
            return "new"
        return "copied" if flags & _COPIED else None

    @property
    def newest_word(self) -> str:
        """The last written word that the corpus lacks; empty without one, or without an index."""
        return "" if self._tracker is None else self._tracker.newest_word

    @property
    def words(self) -> str:
        """The words of the frame for the current ink."""
        if self.kind != "novelty":
            return "" if self.kind == "off" else self.kind
        tracker = self._tracker
        if tracker is None:
            if self.text_missing:
                return "novelty: not available"
            unknown = "the text is too long" if self._is_hopeless else "reading the text"
            return f"novelty: {unknown}"
        share = tracker.copied / max(1, tracker.characters)
        return f"novelty: {share:.0%} copied, {tracker.new_words} new"

    def _flag(self, finding: Finding) -> tuple[int, int]:
        """Marks a finding; returns its first and last position."""
        assert self._tracker is not None
        newest = self._tracker.characters
        places = [
            self._places[len(self._places) - (newest - index)]
            for index in range(finding.start, finding.end)
            if newest - index <= len(self._places)
        ]
        bit = _NEW if finding.kind == "new word" else _COPIED
        for place in places:
            if place >= self._base:
                self._flags[place - self._base] |= bit
        return (places[0], places[-1]) if places else (self._base, self._base)

    def _grow_to(self, place: int) -> None:
        """Makes room for a position; positions in between have no ink. Drops the oldest."""
        every = (self._surprise, self._flags, self._units, self._authors)
        if (
            not self._surprise
            or place < self._base
            or place - self._base > len(self._surprise) + KEPT
        ):
            self._base = place
            for kept in every:
                kept.clear()
        missing = place - self._base + 1 - len(self._surprise)
        excess = place - self._base + 1 - KEPT
        for kept in every:
            kept.extend(bytes(max(0, missing)))
            if excess > KEPT // 10:
                del kept[:excess]
        if excess > KEPT // 10:
            self._base += excess


def bits_of(probability: float) -> float:
    """Returns the surprise of a character of this probability, bits."""
    return -math.log2(probability) if 0 < probability <= 1 else 99.0


def surprise_level(probability: float) -> int:
    """Returns how surprising a character of this probability is, 0 to 4."""
    return _level(bits_of(probability), SURPRISE_BITS)


def _level(value: float, borders: tuple[float, ...]) -> int:
    return sum(value > border for border in borders)
