"""What is drawn frugally is what Textual draws."""

from __future__ import annotations

import asyncio
from typing import Any

import pyte
import pytest
from app_opened import Opened, opened
from app_script import characters, training
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from textual._compositor import Compositor
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.terminal.frugal_compositor import FrugalCompositor

CONSOLE = Console(color_system="truecolor", force_terminal=True, width=200)


def sent(it: Opened, dirty: set[Region], way: type[Compositor]) -> str:
    """Returns what is sent to the terminal when these regions are drawn in that way."""
    compositor = it.app.main_screen._compositor
    compositor._dirty_regions = set(dirty)
    update = way.render_partial_update(compositor)
    assert update is not None
    return update.render_segments(CONSOLE)


def cells(sequences: str) -> dict[tuple[int, int], Any]:
    """Returns the cells that a terminal has after these, with their colours."""
    screen = pyte.Screen(SCREEN.width, SCREEN.height)
    pyte.Stream(screen).feed(sequences)
    return {(y, x): cell for y, line in screen.buffer.items() for x, cell in line.items()}


SCREEN = Region(0, 0, 120, 40)
REGIONS = st.sets(
    st.builds(
        Region, st.integers(0, 119), st.integers(0, 39), st.integers(1, 120), st.integers(1, 40)
    ).map(SCREEN.intersection),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("keys", ["", "3", "34", "456", "5m"])
def test_any_part_of_the_screen_is_drawn_as_textual_draws_it(keys: str) -> None:
    async def drawn() -> None:
        async with opened(*training(), *characters("It was so. " * 40), size=(120, 40)) as it:
            # The plot is imported and mounted while others are drawn, and changes the screen.
            await it.until(lambda: it.app.main_screen.chart._plot is not None)
            await it.press(*keys)
            await it.pilot.pause()
            sent(it, {SCREEN}, Compositor)

            @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
            @given(dirty=REGIONS)
            def the_same(dirty: set[Region]) -> None:
                frugal = cells(sent(it, dirty, FrugalCompositor))
                assert frugal == cells(sent(it, dirty, Compositor))

            the_same()

    asyncio.run(drawn())


def test_one_line_of_text_asks_no_other_widget_for_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def drawn() -> None:
        async with opened(*training(), *characters("It was so. "), size=(120, 40)) as it:
            screen = it.app.main_screen
            asked: list[tuple[Widget, int]] = []
            own = Widget.render_lines

            def noted(widget: Widget, crop: Region) -> list[Strip]:
                asked.append((widget, crop.height))
                return own(widget, crop)

            monkeypatch.setattr(Widget, "render_lines", noted)
            pane = screen.pane.region
            one_line = Region(pane.x, pane.y + 2, pane.width, 1)
            sent(it, {one_line}, FrugalCompositor)
            assert asked == [(screen.pane, 1)]
            asked.clear()
            sent(it, {one_line}, Compositor)
            assert len(asked) > 10, "what it is all about"

    asyncio.run(drawn())
