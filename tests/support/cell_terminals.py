"""A terminal's screen with either of the two ways to count cells, fed with what an app writes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import wcwidth

_TOKENS = re.compile(r"\x1b\[(?P<digits>[\d;?<>=]*)(?P<final>[@-~])|\x1b[^\[]|.", re.DOTALL)
_TONES = range(0x1F3FB, 0x1F400)
_REGIONS = range(0x1F1E6, 0x1F200)
_JAMO_WITHOUT_CELLS = (*range(0x1160, 0x1200), *range(0xD7B0, 0xD7FC))


@dataclass(frozen=True)
class Counting:
    """How a terminal counts cells."""

    name: str
    cells: Callable[[str], int]
    """Cells of a code point that begins a cluster."""
    joins: Callable[[str, str], bool]
    """Whether a code point is drawn into the cell of what is before it, and takes none."""
    widens: bool
    """Whether the selector of emoji makes a narrow symbol wide."""


def _by_code_points(character: str) -> int:
    """Cells as the C library counts them, which tmux asks."""
    code, category = ord(character), unicodedata.category(character)
    if code in _TONES:
        return 2
    if code in _JAMO_WITHOUT_CELLS or category in {"Mn", "Me", "Cf"}:
        return 0
    return 1 if category == "Mc" else max(0, wcwidth.wcwidth(character))


def _by_clusters(character: str) -> int:
    """Cells as kitty counts them at the start of a cluster."""
    if ord(character) in _REGIONS:
        return 2
    if unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf"} or character in "\u3164\uffa0":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _in_one_cluster(before: str, character: str) -> bool:
    return len(list(wcwidth.iter_graphemes(before + character))) == 1


CODE_POINTS = Counting("code points", _by_code_points, lambda *_: False, widens=False)
CLUSTERS = Counting("clusters", _by_clusters, _in_one_cluster, widens=True)


class CellTerminal:
    """The cells of a screen, each with the text that stands in it."""

    def __init__(self, columns: int, rows: int, counting: Counting) -> None:
        self.columns, self.rows, self._counting = columns, rows, counting
        self._cells = [[" "] * columns for _ in range(rows)]  # "" right of a wide one
        self._x = self._y = 0
        self.overruns: list[tuple[int, str]] = []
        """Rows and characters that were written beyond the last column."""

    def feed(self, wire: str) -> None:
        """Takes what goes to a terminal."""
        for token in _TOKENS.finditer(wire):
            text = token[0]
            if token["final"] == "H":
                row, _, column = token["digits"].partition(";")
                self._y, self._x = int(row or 1) - 1, int(column or 1) - 1
            elif token["final"] == "J":
                self._cells = [[" "] * self.columns for _ in range(self.rows)]
            elif text == "\n":
                self._y = min(self._y + 1, self.rows - 1)
            elif text == "\r":
                self._x = 0
            elif not text.startswith("\x1b"):
                self._write(text)

    def row(self, y: int) -> str:
        """Returns what stands in a row."""
        return "".join(self._cells[y])

    def at(self, x: int, y: int) -> str:
        """Returns what stands in a cell; nothing right of the first cell of something wide."""
        return self._cells[y][x]

    def _write(self, character: str) -> None:
        row = self._cells[self._y]
        place = self._x - 1
        while place > 0 and row[place] == "":
            place -= 1
        cells = self._counting.cells(character)
        if place >= 0 and (cells == 0 or self._counting.joins(row[place], character)):
            row[place] += character
            is_narrow = self._x - place == 1
            if self._counting.widens and character == "\ufe0f" and is_narrow:
                self._take(1, [""])
            return
        if cells:
            self._take(cells, [character, ""][:cells])

    def _take(self, cells: int, texts: list[str]) -> None:
        """Writes into the next cells; half of something wide becomes blank."""
        row, x = self._cells[self._y], self._x
        if x + cells > self.columns:
            self.overruns.append((self._y, texts[0]))
            return
        if row[x] == "" and x and texts[0]:
            row[x - 1] = " "
        row[x : x + cells] = texts
        self._x = x + cells
        if self._x < self.columns and row[self._x] == "":
            row[self._x] = " "
