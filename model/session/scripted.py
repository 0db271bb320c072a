"""A fake ``Session`` for tests: returns scripted events and records commands."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from model.commands import Command
from model.events import Event


class ScriptedSession:
    """A session without workers: ``say`` adds events, ``commands`` holds the posted commands."""

    def __init__(self, script: Iterable[Event] = ()) -> None:
        self.commands: list[Command] = []
        self.started = False
        self._pending: deque[Event] = deque(script)

    def start(self) -> None:
        """Records that the session was started."""
        self.started = True

    def post(self, command: Command) -> None:
        """Records the command."""
        self.commands.append(command)

    def say(self, *events: Event) -> None:
        """Adds events for the next poll."""
        self._pending.extend(events)

    def poll(self) -> Sequence[Event]:
        """Returns the events that were added since the last call."""
        taken = []
        while self._pending:
            taken.append(self._pending.popleft())
        return taken

    def close(self, *, save: bool = True, timeout: float = 30.0) -> bool:  # noqa: ARG002
        """Does nothing; there is no worker to end."""
        return True
