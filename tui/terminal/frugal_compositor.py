"""Draws only the changed parts of a screen.

Textual 8.2.8 draws every visible widget completely for every update, and then sends the changed
part. With sixteen updates a second of one line of text, that is most of the cost of the screen.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip


class FrugalCompositor(Compositor):
    """A compositor whose partial updates ask widgets only for the rows that changed."""

    def __init__(self) -> None:
        super().__init__()
        self._asked_for: tuple[Region, ...] = ()
        """What a partial update is about; empty where everything is to be drawn."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """Returns what has changed, if anything has."""
        self._asked_for = tuple(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._asked_for = ()

    def _get_renders(
        self, crop: Region | None = None
    ) -> Iterable[tuple[Region, Region, list[Strip]]]:
        """Yields region, clip and lines of each widget, the topmost first.

        A widget without a cell in the requested spans is skipped. The other widgets return the rows
        from the first to the last requested one. A widget is not asked for a region that another
        one above it covers completely.
        """
        if not self._asked_for:
            yield from super()._get_renders(crop)
            return
        pending = self._asked_for
        for widget, (region, clip) in self.visible_widgets.items():
            shown = region.intersection(clip)
            parts = [part for asked in pending if (part := shown.intersection(asked))]
            if not parts:
                continue
            top = min(part.y for part in parts)
            rows = Region(shown.x, top, shown.width, max(part.bottom for part in parts) - top)
            yield region, rows, widget.render_lines(rows.translate(-region.offset))
            pending = tuple(asked for asked in pending if not shown.contains_region(asked))


class FrugalScreen(Screen[None]):
    """A screen that uses ``FrugalCompositor``."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._compositor = FrugalCompositor()
