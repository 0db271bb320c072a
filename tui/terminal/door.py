"""Admits keys, clicks and pastes one at a time, after the app has handled the previous one.

Textual 8.2.8 handles keys that arrive together out of order. A field's own task writes a letter.
Backspace, Enter and every other binding first pass through the app, and a screen that a key opens
or closes changes later still. Over SSH, fast typing arrives in one packet. Half of its keys would
act on a screen that is not open yet, or is closed already.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from textual.events import Event, InputEvent, Paste

if TYPE_CHECKING:
    from textual.app import App
    from textual.message_pump import MessagePump

    from tui.terminal.host import TerminalHost

EAGER_POLLS: Final = 200
"""Number of polls without a pause; the app has usually handled a key after ten."""
SECONDS_BETWEEN_POLLS: Final = 0.002
MAX_POLLS: Final = 700
"""Maximum number of polls, about a second; then the next key is admitted anyway. It is a count,
because a busy machine must not shorten it."""


class Door:
    """A queue that holds input until the app has handled the input before it."""

    def __init__(self, app: App[Any], host: TerminalHost) -> None:
        """Starts with no input waiting.

        Args:
            app: the app that receives the input.
            host: the same app, through the interface that this package knows.
        """
        self._app = app
        self._host = host
        self._waiting: deque[Event] = deque()
        self._let_in: Event | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether no input waits, and none is being handled."""
        return self._task is None

    def admits(self, event: Event) -> bool:
        """Returns whether the app may handle an event now; queues the event otherwise.

        Input that arrives after the app was asked to exit is dropped.
        """
        if not isinstance(event, InputEvent | Paste) or event.is_forwarded:
            return True
        if self._host.is_leaving:
            return False
        if event is self._let_in:
            self._let_in = None
            return True
        if self._task is not None:
            self._waiting.append(event)
            return False
        self._task = asyncio.create_task(self._let_in_the_rest(), name="door")
        return True

    async def _let_in_the_rest(self) -> None:
        """Passes the queued input to the app, one event at a time."""
        try:
            await self._rest()
            while self._waiting and not self._host.is_leaving:
                self._let_in = self._waiting.popleft()
                self._app.post_message(self._let_in)
                await self._rest()
        finally:
            self._waiting.clear()
            self._let_in = self._task = None

    async def _rest(self) -> None:
        """Waits until the app has handled all input and messages it has received.

        It also waits for a dialog that a worker's answer opens, because the next input is meant for
        it. After the maximum number of polls, the dialog is cancelled, because it would open over
        later input.
        """
        for poll in range(MAX_POLLS):
            await asyncio.sleep(0 if poll < EAGER_POLLS else SECONDS_BETWEEN_POLLS)
            if self._is_at_rest():
                return
        self._host.awaits_dialog = False

    def _is_at_rest(self) -> bool:
        """Returns whether the app, its top screen and all widgets on it are idle."""
        app = self._app
        if self._host.is_leaving or not app.screen_stack:
            return True
        if self._host.awaits_dialog:
            return False
        screen = app.screen
        return (
            is_waiting(app)
            and is_waiting(screen)
            and all(is_waiting(node) for node in screen.walk_children())
        )


def is_waiting(pump: MessagePump) -> bool:
    """Returns whether a message pump waits for a message and none is queued for it.

    It uses private attributes of Textual and asyncio. A test checks that they still work.
    """
    ready: Any = pump._message_queue.ready_event  # noqa: SLF001
    return not ready.is_set() and bool(ready._waiters)  # noqa: SLF001
