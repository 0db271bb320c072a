"""An app on a scripted session, opened for a test without a terminal."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from patience import until
from textual.pilot import Pilot

from model import events as ev
from model.scripted_session import ScriptedSession
from tui.app import CharlmApp
from tui.screen_settings import ScreenSettings


class Opened:
    """An app under test with its session."""

    def __init__(self, app: CharlmApp, session: ScriptedSession, pilot: Pilot[None]) -> None:
        self.app, self.session, self.pilot = app, session, pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def say(self, *events: ev.Event) -> None:
        self.app.take(events)
        await self.pilot.pause()

    async def until(self, met: Callable[[], bool]) -> None:
        await until(met)

    def toasts(self) -> list[str]:
        return [str(note.message) for note in self.app._notifications]


@asynccontextmanager
async def opened(
    *events: ev.Event,
    size: tuple[int, int] = (80, 24),
    prepare: Callable[[CharlmApp], object] = lambda _: None,
    **settings: Any,
) -> AsyncIterator[Opened]:
    """Opens the app on a scripted session; what keys write to files goes where it is forgotten.

    Args:
        events: what the session says first.
        size: columns and rows.
        prepare: is given the app before it runs.
        settings: fields of `ScreenSettings`.
    """
    session = ScriptedSession()
    async with AsyncExitStack() as stack:
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        given = {"title": "text", "text_folder": Path(stack.enter_context(folder)), **settings}
        app = CharlmApp(session, ScreenSettings(**given))
        prepare(app)
        pilot = await stack.enter_async_context(app.run_test(size=size, notifications=True))
        opened_app = Opened(app, session, pilot)
        await opened_app.until(lambda: session.started)
        if events:
            await opened_app.say(*events)
        yield opened_app
