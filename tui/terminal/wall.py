"""The last check of every line before it goes to the terminal.

Foreign text is made printable where it enters (``tui.sanitise``). If one place is missed, or if
Textual shows foreign text itself, this filter still removes control characters, direction overrides
and links.
"""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tui.sanitise import printable


class ForeignTextWall(LineFilter):
    """Rewrites what a terminal might obey; leaves everything else as it is."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Returns the line, as wide as before, with nothing in it but text and style."""
        if all(map(_is_harmless, segments)):
            return segments
        made = [_harmless(segment) for segment in segments]
        width = sum(segment.cell_length for segment in segments)
        return Segment.adjust_line_length(made, width)


def _is_harmless(segment: Segment) -> bool:
    text, style, control = segment
    if control is not None or (style is not None and style.link is not None):
        return False
    return (text.isascii() and text.isprintable()) or printable(text) == text


def _harmless(segment: Segment) -> Segment:
    style = segment.style
    if style is not None and style.link is not None:
        style = style.update_link(None)
    return Segment(printable(segment.text), style)
