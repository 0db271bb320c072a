"""The last check of every line before it goes to the terminal.

Foreign text is made printable where it enters (``tui.sanitise``). If one place is missed, or if
Textual shows foreign text itself (a field holds it as it was typed), this filter still removes
control characters, direction overrides and links, and draws the stand-ins of ``tui.clusters``.
"""

from __future__ import annotations

from rich.cells import set_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tui.sanitise import drawn_apart


class ForeignTextWall(LineFilter):
    """Rewrites what a terminal might obey; leaves everything else as it is."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Returns the line, as wide as before, with nothing in it but text and style."""
        if all(map(_is_harmless, segments)):
            return segments
        return [_harmless(segment) for segment in segments]


def _is_harmless(segment: Segment) -> bool:
    text, style, control = segment
    if control is not None or (style is not None and style.link is not None):
        return False
    return (text.isascii() and text.isprintable()) or drawn_apart(text) == text


def _harmless(segment: Segment) -> Segment:
    """Returns a segment that takes as many cells as before, so that a border stays in its place."""
    style = segment.style
    if style is not None and style.link is not None:
        style = style.update_link(None)
    return Segment(set_cell_size(drawn_apart(segment.text), segment.cell_length), style)
