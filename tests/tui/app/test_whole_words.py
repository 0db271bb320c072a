"""No pane, dialog or toast cuts words of ours, at any size, before or after a resize."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from app_opened import Opened, opened
from app_script import characters, finished, on_a_loop, training
from rich.cells import cell_len
from textual.widgets import Button, Static
from textual.widgets._toast import Toast

from model import events as ev
from tui.widgets.painted import Painted, row_width

SIZES = [(40, 10), (60, 18), (80, 24), (120, 40), (200, 60)]
VIEWS: dict[str, tuple[str, ...]] = {
    "start": (),
    "sampling": ("3",),
    "race": ("4",),
    "growing up": ("5",),
    "events": ("6",),
    "training": ("1", "1"),
    "learning rate": ("1", "1", "right"),
    "maximised": ("m",),
    "text alone": ("1", "2"),
    "novelty": ("c", "c"),
    "help": ("question_mark",),
    "views": ("v",),
    "alternatives": ("a",),
    "prompt": ("i",),
    "find": ("slash",),
    "temperature": ("t",),
    "wrong temperature": ("t", "x"),
    "quit": ("q",),
    "ink toast": ("c",),
    "no words": ("slash", "z", "enter"),
    "no training": ("e",),
}
BOXES = re.compile("[\u2500-\u259f]")
_EDGE_CELLS = 6
"""Of an edge with words: its corners, and a track and a gap on either side of the words."""
EVENTS = (
    *training(),
    *characters("the sense of the whole of the soul and the highest " * 20),
    ev.WritingHeld(held=True),
)


def cut(it: Opened) -> Iterator[str]:
    """Yields what is cut on the top screen: rows, labels of buttons, sentences and toasts."""
    screen = it.app.screen
    visible = screen._compositor.visible_widgets
    for widget, (region, clip) in visible.items():
        for words in (widget.border_title, widget.border_subtitle):
            if words and cell_len(str(words)) > region.width - _EDGE_CELLS:
                yield f"{widget}: {words} on an edge of {region.width} cells"
        if isinstance(widget, Painted):
            width = widget.size.width
            for row in widget._rows:
                if row_width(row) > width:
                    yield f"{widget}: {''.join(text for text, _ in row)!r} in {width} cells"
        elif isinstance(widget, Button):
            if cell_len(str(widget.label)) > widget.content_size.width:
                yield f"{widget}: {widget.label!s}"
        elif isinstance(widget, Toast | Static) and clip.intersection(region) != region:
            yield f"{widget}: {region} in {clip}"


def boxes(it: Opened) -> list[str]:
    """Returns the rows of the top screen that draw lines or blocks beyond ASCII."""
    rows = ("".join(part.text for part in row) for row in it.app.screen._compositor.render_strips())
    return [row for row in rows if BOXES.search(row)]


CASES = [
    *((size, ()) for size in SIZES if size != (120, 40)),
    pytest.param((120, 40), (), marks=pytest.mark.slow),
    ((60, 18), finished()),
    ((40, 10), finished()),
]


@pytest.mark.parametrize(("size", "state"), CASES)
@on_a_loop
async def test_no_view_cuts_a_word_or_draws_what_ascii_lacks(
    size: tuple[int, int], state: tuple[ev.Event, ...]
) -> None:
    found = {}
    ascii_only = bool(state)
    async with opened(*EVENTS, *state, size=size, ascii=ascii_only) as it:
        for name, keys in VIEWS.items():
            it.app.clear_notifications()
            await it.press(*keys)
            await it.settle()
            it.app.draw_all()
            await it.pilot.pause()
            if words := [*cut(it), *(boxes(it) if ascii_only else ())]:
                found[name] = words
            while len(it.app.screen_stack) > 1:
                await it.press("escape")
            await it.press("0")
    assert not found, "\n".join(f"{name}: {words}" for name, words in found.items())


@on_a_loop
async def test_no_row_stays_cut_after_a_resize() -> None:
    async with opened(*EVENTS, size=(200, 60)) as it:
        for size in (*SIZES[::-1], *SIZES, (120, 40), (80, 24)):
            await it.pilot.resize_terminal(*size)
            await it.pilot.pause()
            await it.pilot.pause()
            assert not list(cut(it)), size
            assert "q Quit" in it.app.main_screen.key_bar.plain
            assert "? Help" in it.app.main_screen.key_bar.plain
