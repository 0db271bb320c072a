"""An app on a scripted session, opened for a test without a terminal."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from patience import until
from textual._xterm_parser import XTermParser
from textual.events import Key
from textual.keys import key_to_character
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets._toast import Toast

from model import events as ev
from model.config import SamplingConfig
from model.session.scripted import ScriptedSession
from tui.app.app import CharlmApp
from tui.config.screen_settings import ScreenSettings
from tui.terminal.door import is_waiting


def key_named(name: str) -> Key:
    """Returns a key as a driver would hand it on."""
    return Key(name, key_to_character(name))


async def without_toasts(pilot: Pilot[None]) -> None:
    """Clears the toasts, and returns when the screen has none left."""

    def cleared() -> bool:
        pilot.app.clear_notifications()
        return not pilot.app.screen.query(Toast)

    await until(cleared)
    await pilot.pause()


class Opened:
    """An app under test with its session."""

    def __init__(self, app: CharlmApp, session: ScriptedSession, pilot: Pilot[None]) -> None:
        self.app, self.session, self.pilot = app, session, pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, packet: str) -> None:
        """Types all of this at once, as a terminal sends it, and waits until it was acted on."""
        await self.post(*(message for message in XTermParser().feed(packet)))

    async def post(self, *events: Message) -> None:
        """Hands the app all of these at once, as a driver does, and waits likewise."""
        for event in events:
            self.app.post_message(event)
        await self.settle()

    async def settle(self) -> None:
        """Waits until everything that was typed was acted on, or the app has ended."""
        app = self.app
        await until(
            lambda: app.is_leaving or (app.door.is_open and is_waiting(app)),
            "keys to be acted on",
        )

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
        given = {
            "title": "text",
            "text_folder": Path(stack.enter_context(folder)),
            "sampling": SamplingConfig(temperature=1.0),
            **settings,
        }
        app = CharlmApp(session, ScreenSettings(**given))
        prepare(app)
        pilot = await stack.enter_async_context(app.run_test(size=size, notifications=True))
        opened_app = Opened(app, session, pilot)
        await opened_app.until(lambda: session.started)
        if events:
            await opened_app.say(*events)
        yield opened_app
