"""Finds words in the written text. Knows positions in the stream, no lines and no widget."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tui.clusters import JOINING, is_mark
from tui.sanitise import one_line, replace_unprintable
from tui.view.format import grouped
from tui.view.line_wrapper import Piece

_SHOWN_CHARACTERS: Final = 20
_BORDER: Final = "\0"  # between two texts; a printable text has none


@dataclass(frozen=True, slots=True)
class Place:
    """Where the words stand: positions in the stream, the end exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One place of the words among all of them."""

    words: str
    place: Place
    number: int
    """Counted from one in reading order."""
    count: int

    @property
    def label(self) -> str:
        """The words and the number of the place, printable."""
        words = one_line(self.words, _SHOWN_CHARACTERS)
        return f"“{words}” {grouped(self.number)} of {grouped(self.count)}"


def places_of(words: str, pieces: Iterable[Piece], *, first: int) -> list[Place]:
    """Returns the places of words in reading order; case is ignored.

    A space also matches a line feed, because both end a line on the screen. Marks between two
    characters are skipped. Words do not continue in the next text.

    Args:
        words: printable, not empty.
        pieces: the written text with the positions of its pieces, the oldest first.
        first: the first position to look at.
    """
    text, positions = _joined(pieces, first)
    folded = text.casefold()
    if len(folded) != len(text):
        positions = [
            position
            for position, character in zip(positions, text, strict=True)
            for _ in character.casefold()
        ]
    parts = re.split(" +", words.casefold())
    places: list[Place] = []
    for match in re.finditer("[ \n]+".join(map(re.escape, parts)), folded):
        start, end = match.span()
        while end < len(folded) and (is_mark(folded[end]) or folded[end] in JOINING):
            end += 1
        places.append(Place(positions[start], positions[end - 1] + 1))
    return places


def next_found(
    words: str, places: Sequence[Place], before: Place | None, direction: int
) -> Found | None:
    """Returns the next place upwards, or downwards if the direction is negative; wraps around.

    Args:
        words: what was looked for.
        places: where it stands.
        before: the place to go on from; None starts at the end, or at the start downwards.
        direction: its sign counts.
    """
    if not places:
        return None
    starts = [place.start for place in places]
    if direction > 0:
        index = (len(places) if before is None else bisect_left(starts, before.start)) - 1
    else:
        index = 0 if before is None else bisect_right(starts, before.start)
    index %= len(places)
    return Found(words=words, place=places[index], number=index + 1, count=len(places))


def _joined(pieces: Iterable[Piece], first: int) -> tuple[str, list[int]]:
    """Returns the text as it is shown, and the position of each of its characters."""
    texts: list[str] = []
    positions: list[int] = []
    for piece in pieces:
        if piece.kind == "rule":
            texts.append(_BORDER)
            positions.append(piece.start)
        elif piece.kind != "mark":
            skipped = max(0, first - piece.start)
            texts.append(replace_unprintable(piece.text[skipped:], keep_newlines=True))
            positions.extend(range(piece.start + skipped, piece.start + len(piece.text)))
    return "".join(texts), positions
