"""What is closed is forgotten: a screen that was open leaves none of its lines behind."""

from __future__ import annotations

import gc

from app_opened import Opened, opened
from app_script import characters, on_a_loop, training
from textual._styles_cache import StylesCache
from textual.widgets._toast import Toast, ToastHolder


def caches() -> int:
    gc.collect()
    return sum(type(thing) is StylesCache for thing in gc.get_objects())


async def open_and_close_help(it: Opened) -> int:
    """Returns how many widgets' drawn lines there are afterwards."""
    for keys in ("question_mark", "escape"):
        await it.press(keys)
        await it.pilot.pause()
    return caches()


@on_a_loop
async def test_a_closed_screen_leaves_no_drawn_lines_behind() -> None:
    async with opened(*training(), *characters("text")) as it:
        counts = [await open_and_close_help(it) for _ in range(7)]
        # The first ones may still see the curve's own widgets come.
        assert counts[-1] == counts[-5], counts


def shown_toasts(it: Opened) -> tuple[int, int]:
    """Returns the toasts on the screen, and what toasts are wrapped in."""
    return len(it.app.screen.query(Toast)), len(it.app.screen.query(ToastHolder))


@on_a_loop
async def test_a_toast_whose_place_another_takes_leaves_nothing_behind() -> None:
    async with opened(*training(), *characters("text")) as it:
        for _ in range(6):
            await it.press("c")
        await it.until(lambda: shown_toasts(it) == (1, 1))
        it.app.clear_notifications()
        await it.until(lambda: shown_toasts(it) == (0, 0))


@on_a_loop
async def test_a_toast_that_expires_below_another_screen_leaves_nothing_behind() -> None:
    async with opened(*training(), *characters("text")) as it:
        for _ in range(3):
            await it.press("c")
            await it.press("question_mark")
            it.app._notifications.clear()  # as the toast of the help screen does when it expires
            await it.press("escape")
        await it.until(lambda: shown_toasts(it) == (0, 0))
