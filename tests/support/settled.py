"""When an app under Pilot has nothing left to do.

Textual waits until the process uses hardly any processor time, for twenty milliseconds at least:
slow for each key, and on a busy machine, where a process that waits for its turn looks idle, wrong.
The event loop knows: nothing is ready to run, and no picture is due.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from patience import moments
from textual._context import active_app
from textual.app import ScreenStackError


async def settle(_least: float = 0.0, _most: float = 0.0) -> None:
    """Returns when all messages were handled and the screen was drawn.

    What a thread still works on is not waited for; wait for what it brings about.
    """
    ready: Any = asyncio.get_running_loop()
    for _ in moments("an app without work", pause=0.0):
        await asyncio.sleep(0)
        if ready._ready:
            continue
        screen = _top_screen()
        if screen is None or not screen._update_timer._active.is_set():
            return
        screen._on_timer_update()  # at once, which the timer would do in the next frame


def _top_screen() -> Any:
    app = active_app.get(None)
    if app is None or not app._running or app._exit:
        return None
    try:
        return app.screen
    except ScreenStackError:
        return None


def settle_under_pilot(patch: pytest.MonkeyPatch) -> None:
    """Lets Pilot wait so, for keys and for pauses."""
    for module in ("textual.app", "textual.pilot"):
        patch.setattr(f"{module}.wait_for_idle", settle)
