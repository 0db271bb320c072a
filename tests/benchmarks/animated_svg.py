"""Encodes frames of a terminal as one animated SVG. Pure: knows no app and no clock.

Only the parts of rows that change are switched. Everything that is visible at the same times shares
one group, and a piece of a row that is visible at several times or places is defined once. SMIL
switches the groups, without a script. A program without animation shows the last frame.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from xml.sax.saxutils import escape

CELL_WIDTH: Final = 10
ROW_HEIGHT: Final = 20
_BASELINE: Final = 15
_MARGIN: Final = 16
_HEAD: Final = 36
_FOOT: Final = 44
_FONTS: Final = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono',monospace"
_WORDS: Final = re.compile(r"\S+(?: \S+)*")
"""Text between gaps of two spaces and more, which SVG would make one space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """Colours and style of cells."""

    colour: str
    """Of the text, such as ``#c0caf5``."""
    background: str
    bold: bool = False
    italic: bool = False
    underlined: bool = False


Run = tuple[str, Paint]
Row = tuple[Run, ...]
Frame = tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Movie:
    """What an animated picture shows."""

    title: str
    """What the picture shows, for those who do not see it."""
    seconds: float
    """Length of a loop."""
    columns: int
    frames: Sequence[Frame]
    """Frames of equal length, each with the same number of rows."""
    captions: Sequence[str]
    """The words below each frame."""
    background: str


def animated_svg(movie: Movie) -> str:
    """Returns the frames as an SVG document that repeats for ever."""
    return "".join(_Encoder(movie).lines())


class _Encoder:
    """Names each distinct piece of a row and each style once, and groups pieces by their times."""

    def __init__(self, movie: Movie) -> None:
        self._movie = movie
        self._styles: dict[str, str] = {}
        """Name of each style class, by its declarations."""
        self._pieces: dict[str, str] = {}
        """Name of each piece of a row, by its elements."""

    def lines(self) -> Iterator[str]:
        """Yields the document."""
        movie = self._movie
        width = movie.columns * CELL_WIDTH + 2 * _MARGIN
        height = len(movie.frames[0]) * ROW_HEIGHT + _HEAD + _FOOT
        groups = [*self._groups(self._backs), *self._groups(self._words)]
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">\n<title>{escape(movie.title)}</title>\n'
        )
        yield f"<style>text{{font:16.6px {_FONTS};white-space:pre}}"
        yield "".join(f".{name}{{{style}}}" for style, name in self._styles.items())
        yield "</style>\n"
        yield (
            f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="9" '
            f'fill="{movie.background}" stroke="#565f89"/>\n'
        )
        for number, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
            yield f'<circle cx="{22 + 20 * number}" cy="18" r="6" fill="{colour}"/>'
        yield "\n<defs>\n"
        yield from (f'<g id="{name}">{body}</g>\n' for body, name in self._pieces.items())
        yield f'</defs>\n<g transform="translate({_MARGIN} {_HEAD + _BASELINE})">\n'
        yield from groups
        yield "</g>\n</svg>\n"

    def _groups(self, elements: Callable[[Row], Iterator[str]]) -> Iterator[str]:
        """Yields a group for each set of times at which a piece of a row is visible."""
        frames = self._movie.frames
        visible: dict[tuple[int, str], list[int]] = defaultdict(list)
        for number, (frame, caption) in enumerate(zip(frames, self._movie.captions, strict=True)):
            for y, row in enumerate((*frame, _caption(caption, self._movie.background))):
                for element in elements(row):
                    visible[y, element].append(number)
        pieces: dict[tuple[int, ...], dict[int, str]] = defaultdict(lambda: defaultdict(str))
        for (y, element), numbers in visible.items():
            pieces[tuple(numbers)][y] += element
        for times, rows in pieces.items():
            uses = (
                f'<use href="#{self._pieces.setdefault(body, _short(len(self._pieces)))}" '
                f'y="{y * ROW_HEIGHT + (10 if y == len(frames[0]) else 0)}"/>'
                for y, body in rows.items()
            )
            yield f"<g{self._switched(times)}{''.join(uses)}</g>\n"

    def _switched(self, times: tuple[int, ...]) -> str:
        """Returns the rest of a group's start: what makes it visible at these frames only."""
        count = len(self._movie.frames)
        if len(times) == count:
            return ">"
        seen = set(times)
        changes = [n for n in range(count) if n == 0 or ((n in seen) != (n - 1 in seen))]
        values = ";".join("visible" if n in seen else "hidden" for n in changes)
        places = ";".join(f"{n / count:.5g}".replace("0.", ".", 1) for n in changes)
        still = "" if count - 1 in seen else ' visibility="hidden"'
        return (
            f'{still}><animate attributeName="visibility" calcMode="discrete" '
            f'values="{values}" keyTimes="{places}" dur="{self._movie.seconds:g}s" '
            'repeatCount="indefinite"/>'
        )

    def _backs(self, row: Row) -> Iterator[str]:
        """Yields the backgrounds of a row that differ from that of the terminal."""
        column = 0
        for background, runs in groupby(row, lambda run: run[1].background):
            width = sum(len(text) for text, _ in runs)
            if background != self._movie.background:
                yield (
                    f'<rect x="{column * CELL_WIDTH}" y="-{_BASELINE}" '
                    f'width="{width * CELL_WIDTH}" height="{ROW_HEIGHT}" fill="{background}"/>'
                )
            column += width

    def _words(self, row: Row) -> Iterator[str]:
        """Yields the texts of a row, each of one style."""
        column = 0
        for text, paint in row:
            for found in _WORDS.finditer(text):
                yield _text(column + found.start(), found.group(), self._paint(paint))
            column += len(text)

    def _paint(self, paint: Paint) -> str:
        """Returns the name of a style class."""
        style = f"fill:{paint.colour}"
        style += ";font-weight:bold" if paint.bold else ""
        style += ";font-style:italic" if paint.italic else ""
        style += ";text-decoration:underline" if paint.underlined else ""
        return self._styles.setdefault(style, _short(len(self._styles)))


def _text(column: int, text: str, name: str) -> str:
    """Returns a text that is as wide as its cells in any font; a few cells are so anyway."""
    length = f' textLength="{len(text) * CELL_WIDTH}"' if len(text) > 3 else ""
    return f'<text x="{column * CELL_WIDTH}" class="{name}"{length}>{escape(text)}</text>'


def _caption(words: str, background: str) -> Row:
    """Returns the words below the terminal as one more row."""
    return ((words, Paint(colour="#e0af68", background=background)),)


def _short(number: int) -> str:
    """Returns a name of few letters for each number from 0."""
    head, digit = divmod(number, 26)
    return (_short(head - 1) if head else "") + chr(ord("a") + digit)
