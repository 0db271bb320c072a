"""A widget that shows rows of short, coloured parts and sends only the rows that changed.

The other panes build on it: each turns the state into rows, this one draws them. The names of the
paints are the contract with ``app.tcss``, which alone knows colours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, zip_longest
from string import ascii_lowercase
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from tui.view.line_wrapper import MINIMUM_WIDTH, Line, LineWrapper
from tui.widgets.styled_once import StyledOnce
from tui.widths import is_disputed

Part = tuple[str, str]
"""A text and the paint that it is drawn with; the text is ours, or went through ``sanitise``."""
Row = tuple[Part, ...]

_LINE_PAINTS = {"text": "value", "prompt": "label", "mark": "accent", "rule": "label"}
PAINTS = (
    *("label", "value", "strong", "good", "bad", "warn", "accent", "faint", "edge", "key"),
    *("chosen", "waiting"),
)
_LETTERS = dict(zip(PAINTS, ascii_lowercase, strict=False))


class Painted(StyledOnce):
    """Rows of painted parts."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"paint--{name}" for name in PAINTS}
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._rows: tuple[Row, ...] = ()

    class Resized(Message):
        """The widget has its new size; the receiver shows the rows that fit it."""

    def on_resize(self) -> None:
        """Asks for the rows again: those for the size before may be too wide."""
        self.post_message(self.Resized())

    @property
    def plain(self) -> str:
        """What is shown, without colours."""
        return "\n".join("".join(text for text, _ in row) for row in self._rows)

    def present(self, rows: Sequence[Row]) -> None:
        """Shows these rows; redraws only the cells that differ."""
        before, self._rows = self._rows, tuple(rows)
        width = self.size.width
        changed = []
        for y, (old, new) in enumerate(zip_longest(before, self._rows, fillvalue=())):
            first, end = changed_cells(old, new, width)
            if first < end:
                changed.append(Region(first, y, end - first, 1))
        if changed:
            self.refresh(*changed)

    def click_action(self, part: Part) -> str | None:  # noqa: ARG002 - for those who override it
        """Returns the action that a click on a part runs, or None."""
        return None

    def render_line(self, y: int) -> Strip:
        """Draws one row."""
        base = self.rich_style
        width = self.size.width
        if y >= len(self._rows):
            return Strip.blank(width, base)
        segments = []
        for part in self._rows[y]:
            text, paint = part
            style = self.component_style(f"paint--{paint}")
            if action := self.click_action(part):
                style += Style.from_meta({"@click": action})
            segments.append(Segment(text, style))
        return Strip(segments).crop_extend(0, width, base)


def changed_cells(old: Row, new: Row, width: int) -> tuple[int, int]:
    """Returns the range of cells in which two rows differ: the first, and one past the last."""
    if old == new:
        return 0, 0
    widths = _character_widths(old) | _character_widths(new)
    if 0 in widths or any(is_disputed(text) for text, _ in (*old, *new)):
        return 0, width  # a part of a cluster is drawn with all of it
    cells: Callable[[str], int] = len if widths <= {1} else _cells_of_characters
    # Most of a row is the same in both: whole parts are compared before characters are.
    same = _common_parts(old, new)
    start = sum(cells(text) for text, _ in new[:same])
    before, before_paints = _text_and_paints(old[same:])
    after, after_paints = _text_and_paints(new[same:])
    first = min(_common_length(before, after), _common_length(before_paints, after_paints))
    end = width
    if cells(before) == cells(after):
        tail = min(
            _common_length(before[::-1], after[::-1]),
            _common_length(before_paints[::-1], after_paints[::-1]),
        )
        end = start + cells(after[: len(after) - tail])
    return min(start + cells(after[:first]), width), min(end, width)


def _common_length(one: str, other: str) -> int:
    """Returns the length of the common prefix, in characters."""
    same, most = 0, min(len(one), len(other))
    while same < most:  # by halves: slices are compared much faster than characters
        middle = (same + most + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            most = middle - 1
    return same


def _character_widths(row: Row) -> set[int]:
    """Returns what the characters of a row take that may take another number of cells than 1."""
    return {cell_len(character) for text, _ in row if not text.isascii() for character in set(text)}


def _cells_of_characters(text: str) -> int:
    return sum(map(cell_len, text))


def _text_and_paints(row: Row) -> tuple[str, str]:
    """Returns the characters, and one letter for the paint of each."""
    return (
        "".join(text for text, _ in row),
        "".join(_LETTERS[paint] * len(text) for text, paint in row),
    )


def _common_parts(one: Row, other: Row) -> int:
    """Returns the length of the common prefix, in parts."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def row_width(row: Row) -> int:
    """Returns the cells that a row takes."""
    return sum(len(text) if text.isascii() else cell_len(text) for text, _ in row)


def spread(left: Row, right: Row, width: int) -> Row:
    """Returns a row with parts at both ends; the left ones are cut if both do not fit."""
    gap = width - row_width(left) - row_width(right)
    while gap < 1 and left:
        text, paint = left[-1]
        left = left[:-1] if len(text) <= 1 - gap else (*left[:-1], (text[: gap - 1], paint))
        gap = width - row_width(left) - row_width(right)
    return (*left, (" " * max(0, gap), "label"), *right)


def line_parts(line: Line, cells: int) -> Row:
    """Returns a line of a transcript, padded to ``width`` cells."""
    parts: Row = tuple((piece.text, _LINE_PAINTS[piece.kind]) for piece in line)
    return (*parts, (" " * max(0, cells - row_width(parts)), "value"))


def sentence_rows(words: str, width: int, *, paint: str = "label") -> list[Row]:
    """Returns a printable sentence as rows of at most ``width`` cells, all in one paint."""
    return [((line, paint),) for line in _wrapped(words, width)]


def sentence_in_the_middle(words: str, width: int, height: int) -> list[Row]:
    """Returns a sentence of narrow characters in the middle of a pane."""
    lines = _wrapped(words, width)
    above = max(0, height - len(lines)) // 2
    return [*([()] * above), *(((line.center(width).rstrip(), "label"),) for line in lines)]


def _wrapped(words: str, width: int) -> list[str]:
    """Returns the lines of a sentence; a word that is longer than a line is broken.

    A pane that cannot hold every character has no lines.
    """
    if width < MINIMUM_WIDTH:
        return []
    wrapper = LineWrapper(width)
    wrapper.add(words, "text")
    lines = [*(line for _, line in wrapper.finished), wrapper.open_line]
    return ["".join(piece.text for piece in line).rstrip(" ") for line in lines]


def flowing_rows(head: Row, words: Row, width: int) -> list[Row]:
    """Returns words of several paints behind a head, wrapped; later rows begin below the first.

    Args:
        head: the beginning of the first row, narrow enough for words beside it.
        words: parts of narrow characters, whose spaces are kept within a row.
        width: of the pane, cells.
    """
    indent = row_width(head)
    rows: list[list[Part]] = [list(head)]
    used = indent
    for text, paint in words:
        for word in re.findall(r" *[^ ]+", text):
            if used + len(word) > width and used > indent:
                rows.append([(" " * indent, "label")])
                used, word = indent, word.lstrip(" ")  # noqa: PLW2901 - as it is drawn
            rows[-1].append((word, paint))
            used += len(word)
    return [tuple(_joined_alike(row)) for row in rows]


def _joined_alike(row: Iterable[Part]) -> Iterator[Part]:
    """Yields the parts of a row; neighbours with the same paint become one part."""
    for paint, parts in groupby(row, key=lambda part: part[1]):
        yield "".join(text for text, _ in parts), paint
