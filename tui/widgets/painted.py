"""A widget that shows rows of short, coloured parts and sends only the rows that changed.

The other panes build on it: each turns the state into rows, this one draws them. The names of the
paints are the contract with ``app.tcss``, which alone knows colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

from tui.line_wrapper import Line
from tui.widgets.styled_once import StyledOnce

Part = tuple[str, str]
"""A text and the paint that it is drawn with; the text is ours, or went through ``sanitise``."""
Row = tuple[Part, ...]

_LINE_PAINTS = {"text": "value", "prompt": "label", "mark": "accent", "rule": "label"}
PAINTS = ("label", "value", "strong", "good", "bad", "warn", "accent", "faint", "edge", "key")


class Painted(StyledOnce):
    """Rows of painted parts."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"paint--{name}" for name in PAINTS}
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._rows: tuple[Row, ...] = ()

    @property
    def plain(self) -> str:
        """What is shown, without colours."""
        return "\n".join("".join(text for text, _ in row) for row in self._rows)

    def present(self, rows: Sequence[Row]) -> None:
        """Shows these rows; only the cells that differ are sent."""
        before, self._rows = self._rows, tuple(rows)
        for y in range(max(len(before), len(self._rows))):
            old = before[y] if y < len(before) else ()
            new = self._rows[y] if y < len(self._rows) else ()
            first, end = changed_cells(old, new, self.size.width)
            if first < end:
                self.refresh(Region(first, y, end - first, 1))

    def action_of(self, part: Part) -> str | None:  # noqa: ARG002 - for those who override it
        """Returns the action that a click on a part runs; None for none."""
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
            style = self.get_component_rich_style(f"paint--{paint}")
            if action := self.action_of(part):
                style += Style.from_meta({"@click": action})
            segments.append(Segment(text, style))
        return Strip(segments).crop_extend(0, width, base)


def changed_cells(old: Row, new: Row, width: int) -> tuple[int, int]:
    """Returns where two rows differ: the first cell, and the one behind the last."""
    if old == new:
        return 0, 0
    if not (_every_character_takes_cells(old) and _every_character_takes_cells(new)):
        return 0, width  # what takes no cell changes what the characters around it take
    # Most of a row is the same in both: whole parts are compared before characters are.
    same = _common(old, new)
    before, after = _painted_characters(old[same:]), _painted_characters(new[same:])
    start = _cells(new[:same])
    first = start + _cells(after[: _common(before, after)])
    end = width
    if _cells(before) == _cells(after):
        end = start + _cells(after) - _cells(after[len(after) - _common_end(before, after) :])
    return min(first, width), min(end, width)


def _every_character_takes_cells(row: Row) -> bool:
    return all(text.isascii() or all(map(cell_len, text)) for text, _ in row)


def _painted_characters(row: Row) -> Row:
    return tuple((character, paint) for text, paint in row for character in text)


def _common(one: Sequence[Part], other: Sequence[Part]) -> int:
    """Returns how many parts are the same at the beginning of both."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _common_end(one: Sequence[Part], other: Sequence[Part]) -> int:
    return _common(one[::-1], other[::-1])


def _cells(parts: Sequence[Part]) -> int:
    return sum(len(text) if text.isascii() else cell_len(text) for text, _ in parts)


def row_width(row: Row) -> int:
    """Returns the cells that a row of narrow characters takes."""
    return sum(len(text) for text, _ in row)


def spread(left: Row, right: Row, width: int) -> Row:
    """Returns one row with a part at each end; the left one gives way where both do not fit."""
    gap = width - row_width(left) - row_width(right)
    while gap < 1 and left:
        text, paint = left[-1]
        left = left[:-1] if len(text) <= 1 - gap else (*left[:-1], (text[: gap - 1], paint))
        gap = width - row_width(left) - row_width(right)
    return (*left, (" " * max(0, gap), "label"), *right)


def line_parts(line: Line, cells: int) -> Row:
    """Returns a line of a transcript, filled up to so many cells."""
    parts: Row = tuple((piece.text, _LINE_PAINTS[piece.kind]) for piece in line)
    used = sum(cell_len(text) for text, _ in parts)
    return (*parts, (" " * max(0, cells - used), "value"))
