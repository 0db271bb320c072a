"""Breaks a stream of characters into lines at words. Knows no widget and no colour."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Literal

from tui.clusters import begun, extended
from tui.widths import width_of

Kind = Literal["text", "prompt", "mark", "rule"]

MINIMUM_WIDTH: Final = 2
"""Minimum width, cells: a wide character must fit."""

_WORDS: Final = re.compile(r"[^ \n]+| +|\n")


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a line with one kind of characters."""

    kind: Kind
    text: str
    start: int = field(default=-1, compare=False)
    """Position in the stream of its first character. In text and prompts each further character is
    one position later, except within the last cluster, which may take more or fewer positions."""


Line = tuple[Piece, ...]


class LineWrapper:
    """Breaks a stream of characters into lines of at most ``width`` cells.

    The line that is being written is ``open_line``; finished ones are handed to ``finished`` with
    the position in the stream where they began. The same stream gives the same lines, however it
    is cut into calls.
    """

    def __init__(self, width: int) -> None:
        self.width = max(MINIMUM_WIDTH, width)
        self.finished: list[tuple[int, Line]] = []
        self.position = 0
        """Units of the stream taken so far: a character, a mark and a rule are one each."""
        self.open_start = 0
        """Position where the open line began."""
        self._cells: list[str] = []  # one per cluster, as it is drawn
        self._kinds: list[Kind] = []
        self._positions: list[int] = []
        self._used = 0  # cells
        self._word = 0  # index where the word that is being written begins

    @property
    def open_line(self) -> Line:
        """The line that is being written."""
        return self._pieces(len(self._cells))

    @property
    def open_cells(self) -> int:
        """Cells that the open line takes."""
        return self._used

    def add(self, text: str, kind: Kind) -> None:
        """Takes printable text; a line feed ends a line."""
        for match in _WORDS.finditer(text):
            word = match.group()
            first = word[0]
            if first == "\n":
                self.position += 1
                self._break(len(self._cells), next_start=self.position)
            elif first == " ":
                self._add_spaces(len(word), kind)
            elif word.isascii() and len(word) <= self.width:
                self._add_ascii(word, kind)
            else:
                for character in word:
                    self._add_character(character, kind)

    def add_mark(self, text: str) -> None:
        """Takes a mark, which is never broken; a line may be broken on either side of it."""
        mark = text[: self.width]
        if self._used + len(mark) > self.width:
            self._break(len(self._cells), next_start=self.position)
        self._extend(mark, "mark", advance=0)
        self.position += 1
        self._word = len(self._cells)

    def remove_mark(self, length: int) -> None:
        """Removes the last mark, of ``length`` characters."""
        length = min(length, self.width)
        del self._cells[-length:], self._kinds[-length:], self._positions[-length:]
        self._used -= length
        self._word = len(self._cells)
        self.position -= 1

    def add_rule(self, label: str) -> None:
        """Takes a rule, which fills a separate line."""
        if self._cells:
            self._break(len(self._cells), next_start=self.position)
        self.finished.append((self.position, (Piece("rule", label),)))
        self.position += 1
        self.open_start = self.position

    def _add_spaces(self, count: int, kind: Kind) -> None:
        """Takes spaces; the line break swallows those past the end of the line."""
        fitting = min(count, self.width - self._used)
        if fitting:
            self._extend(" " * fitting, kind)
        self.position += count - fitting
        self._word = len(self._cells)

    def _add_ascii(self, word: str, kind: Kind) -> None:
        """Takes a word, or the next part of one, whose characters are one cell each."""
        room = self.width - self._used
        if len(word) > room and self._word:
            self._break(self._word, next_start=self._word_start())
            room = self.width - self._used
        if len(word) > room:
            for character in word:
                self._add_character(character, kind)
        else:
            self._extend(word, kind)

    def _add_character(self, character: str, kind: Kind) -> None:
        """Takes one code point, which may belong to the cluster before it."""
        if character >= "\u0300" and self._join(character):
            return
        shown = begun(character)
        cells = width_of(shown)
        if self._used + cells > self.width and self._word:
            self._break(self._word, next_start=self._word_start())
        if self._used + cells > self.width:
            self._break(len(self._cells), next_start=self.position)
        self._cells.append(shown)
        self._kinds.append(kind)
        self._positions.append(self.position)
        self.position += 1
        self._used += cells

    def _join(self, character: str) -> bool:
        """Takes a code point into the last cluster, which goes where it goes.

        Returns:
            Whether it belongs to that cluster, and the cluster still fits a line.
        """
        last = len(self._cells) - 1
        before = self._cells[last] if last >= 0 and self._kinds[last] != "mark" else ""
        cluster = extended(before, character)
        if cluster is None:
            return False
        if cluster != before:
            more = width_of(cluster) - width_of(before)
            if width_of(cluster) > self.width:
                return False
            while self._used + more > self.width:
                last = len(self._cells) - 1
                end = self._word if 0 < self._word <= last else last
                self._break(end, next_start=self._positions[end])
            self._cells[-1] = cluster
            self._used += more
        self.position += 1
        return True

    def _extend(self, text: str, kind: Kind, *, advance: int = 1) -> None:
        """Puts characters of one cell each at the end of the open line, which has the room."""
        count = len(text)
        self._cells.extend(text)
        self._kinds.extend([kind] * count)
        self._positions.extend(self.position + advance * index for index in range(count))
        self.position += advance * count
        self._used += count

    def _word_start(self) -> int:
        """Position of the word that is being written."""
        return self._positions[self._word] if self._word < len(self._positions) else self.position

    def _pieces(self, end: int) -> Line:
        """Returns the first ``end`` characters of the open line, alike ones joined."""
        pieces: list[Piece] = []
        index = 0
        for _, group in groupby(range(end), self._run_of):
            count = sum(1 for _ in group)
            text = "".join(self._cells[index : index + count])
            pieces.append(Piece(self._kinds[index], text, self._positions[index]))
            index += count
        return tuple(pieces)

    def _run_of(self, index: int) -> tuple[Kind, int]:
        """Returns what is the same for characters that one piece holds."""
        kind = self._kinds[index]
        return kind, 0 if kind == "mark" else self._positions[index] - index

    def _break(self, end: int, *, next_start: int) -> None:
        """Finishes the open line before its character ``end``; the rest begins the next line."""
        self.finished.append((self.open_start, self._pieces(end)))
        del self._cells[:end], self._kinds[:end], self._positions[:end]
        self.open_start = next_start
        self._used = sum(map(width_of, self._cells))
        self._word = 0
