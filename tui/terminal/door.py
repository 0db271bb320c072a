"""Lets keys, clicks and pastes in one at a time: each finds what the one before it has left.

Textual 8.2.8 acts on keys that come together out of order. A letter is written by the field's own
task; Backspace, Enter and every other binding makes a round through the app first, and a screen
that a key opens or closes does so later still. Over SSH the keys of a quick hand come in one
packet: half of them would act on a screen that is not there yet, or not any more.
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
"""Polls without a pause; the app has usually handled a key after ten."""
SECONDS_BETWEEN_POLLS: Final = 0.002
MAX_POLLS: Final = 700
"""About a second. Then the next key comes in although the app is not at rest. It is a count because
a busy machine must not shorten it."""


class Door:
    """What is typed waits here until what was typed before has been acted on."""

    def __init__(self, app: App[Any], host: TerminalHost) -> None:
        """Stands open.

        Args:
            app: whose input goes through it.
            host: the same app, as it is seen from here.
        """
        self._app = app
        self._host = host
        self._waiting: deque[Event] = deque()
        self._let_in: Event | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing waits, and nothing is being acted on."""
        return self._task is None

    def admits(self, event: Event) -> bool:
        """Tells whether the app may act on an event now; keeps what has to wait.

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
        """Hands the app what waits, one after the other, until nothing does."""
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
        """Waits until the app has acted on all that it knows of.

        A dialog that a worker's answer opens is waited for as well: what is typed next is meant for
        it. One that has not come when the patience is at its end is not wanted any more, because it
        would open over whatever is typed meanwhile.
        """
        for poll in range(MAX_POLLS):
            await asyncio.sleep(0 if poll < EAGER_POLLS else SECONDS_BETWEEN_POLLS)
            if self._is_at_rest():
                return
        self._host.awaits_dialog = False

    def _is_at_rest(self) -> bool:
        """Tells whether the app, its top screen and all on it have nothing left to do."""
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
    """Tells whether a part of the app waits for a message, with none on its way to it.

    No part of Textual's public interface, nor of asyncio's; a test shows that it still holds.
    """
    ready: Any = pump._message_queue.ready_event  # noqa: SLF001
    return not ready.is_set() and bool(ready._waiters)  # noqa: SLF001
