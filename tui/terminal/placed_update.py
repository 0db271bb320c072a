"""What is sent of a screen, with every part at its own place on the terminal.

Textual places the beginning of a row and lets the rest follow. Where a terminal gives a cluster
fewer cells than we do (``tui.widths``), all that is right of it would move. Here a part with such a
cluster is blanked first, and whatever follows the cluster is placed.
"""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.control import Control
from rich.segment import Segment
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.strip import Strip

from tui.clusters import begun, extended
from tui.widths import cells_of, is_disputed


def placed(update: RenderableType | None) -> RenderableType | None:
    """Returns an update of Textual's in its placed form; anything else as it is."""
    if type(update) is LayoutUpdate:
        return _PlacedLayout(update.strips, update.region)
    if type(update) is ChopsUpdate:
        return _PlacedChops(update.chops, update.spans, update.chop_ends)
    return update


class _PlacedLayout(LayoutUpdate):
    """All rows of a region."""

    def render_segments(self, console: Console) -> str:
        """Returns what goes to the terminal."""
        rows = []
        for y, strips in enumerate(self.strips, self.region.y):
            x, moves = self.region.x, True
            parts = []
            for strip in strips:
                if moves:
                    parts.append(_move_to(x, y))
                moves = _is_disputed(strip)
                parts.append(_apart(strip, x, y, console) if moves else strip.render(console))
                x += strip.cell_length
            rows.append("".join(parts))
        return "\n".join(rows)


class _PlacedChops(ChopsUpdate):
    """The parts of rows that changed; each is placed already."""

    def render_segments(self, console: Console) -> str:
        """Returns what goes to the terminal."""
        parts = []
        last_y = self.spans[-1][0]
        for y, x1, x2 in self.spans:
            for end, (x, whole) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if whole is None or x > x2 or end <= x1:
                    continue
                is_inside = x2 > x >= x1 and end <= x2
                strip = whole if is_inside else whole.crop(0, min(end, x2) - x)
                is_disputed = _is_disputed(strip)
                parts.append(_move_to(x, y))
                parts.append(_apart(strip, x, y, console) if is_disputed else strip.render(console))
            if y != last_y:
                parts.append("\n")
        return "".join(parts)


def _is_disputed(strip: Strip) -> bool:
    return any(is_disputed(text) for text, _, _ in strip)


def _apart(strip: Strip, x: int, y: int, console: Console) -> str:
    """Returns a strip with every cluster in the cells that we count, however short it becomes.

    A sign at the start, whose letter another widget hides, is drawn as ``LONE_SIGN``.
    """
    blank = Strip([Segment(" " * segment.cell_length, segment.style) for segment in strip])
    placed_segments: list[Segment] = []
    column, cluster = x, ""
    for text, style, _ in strip:
        parts: list[str] = []
        for character in text:
            joined = extended(cluster, character)
            if joined is None:
                if is_disputed(cluster):
                    parts.append(_move_to(column, y))
                cluster = begun(character)
                parts.append(cluster)
            elif cluster:
                parts.append(character)
                cluster = joined
            column += cells_of(character)
        placed_segments.append(Segment("".join(parts), style))
    return blank.render(console) + _move_to(x, y) + Strip(placed_segments).render(console)


def _move_to(x: int, y: int) -> str:
    return Control.move_to(x, y).segment.text
