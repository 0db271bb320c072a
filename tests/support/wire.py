"""An app whose every byte to the terminal is kept, without a terminal."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from app_opened import Opened, opened
from hostile_text import unsafe_characters
from textual.app import App
from textual.driver import Driver
from textual.drivers.headless_driver import HeadlessDriver

from model import events as ev
from tui.app.app import CharlmApp
from tui.terminal.wall import ForeignTextWall

_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z\\`-~]"
)
_OURS = re.compile(
    r"\x1b\[(?:[\d;:]*[mHJKABCD]|\?(?:1049|25|2026|1000|1003|1004|1006|1015|1016|2004|7)[hl])"
    r"|\x1b\]22;[a-z-]*\x07"
)
"""Colours, places and modes that Textual itself writes, and the shape of the mouse pointer."""


class WireDriver(HeadlessDriver):
    """Keeps what a terminal would get."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.written: list[str] = []

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.written.append(data)


AppT = TypeVar("AppT", bound=App[Any])


def on_a_wire(app: AppT) -> AppT:
    """Gives an app such a driver."""

    def build(headless: bool, inline: bool, mouse: bool, size: tuple[int, int] | None) -> Driver:
        app._driver = WireDriver(app, mouse=mouse, size=size)
        return app._driver

    app._build_driver = build  # type: ignore[method-assign]
    return app


def take_wire(app: App[Any]) -> str:
    """Returns what went to the terminal since the last call."""
    driver = app._driver
    assert isinstance(driver, WireDriver)
    written = "".join(driver.written)
    driver.written.clear()
    return written


def assert_harmless(wire: str) -> None:
    """Asserts that a terminal is told nothing but what Textual tells it."""
    strange = [found for found in _ESCAPE.finditer(wire) if not _OURS.fullmatch(found[0])]
    places = [_OURS.sub("", wire[max(0, found.start() - 60) : found.end()]) for found in strange]
    assert not strange, sorted(set(places))[:5]
    left = unsafe_characters(_OURS.sub("", wire)) - {"\n", "\r"}
    assert not left, sorted(map(ascii, left))[:20]


@asynccontextmanager
async def opened_on_a_wire(
    *events: ev.Event, size: tuple[int, int] = (200, 60), wall: bool = True, **settings: Any
) -> AsyncIterator[Opened]:
    """Opens the app on a scripted session, with or without the wall before the driver."""

    def prepare(app: CharlmApp) -> None:
        on_a_wire(app)
        if not wall:
            app._filters = [made for made in app._filters if not isinstance(made, ForeignTextWall)]

    async with opened(*events, size=size, prepare=prepare, **settings) as it:
        yield it
