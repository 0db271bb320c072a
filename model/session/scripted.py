"""The official fake of ``Session``: says what it was told, and remembers what it was told."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from model.commands import Command
from model.events import Event


class ScriptedSession:
    """A session without workers: ``say`` fills it, ``commands`` shows what arrived."""

    def __init__(self, script: Iterable[Event] = ()) -> None:
        self.commands: list[Command] = []
        self.started = False
        self.closed_with_save: bool | None = None
        self._pending: deque[Event] = deque(script)

    def start(self) -> None:
        """Notes that the session was started."""
        self.started = True

    def post(self, command: Command) -> None:
        """Notes the command."""
        self.commands.append(command)

    def say(self, *events: Event) -> None:
        """Adds events for the next poll."""
        self._pending.extend(events)

    def poll(self) -> Sequence[Event]:
        """Hands over everything said since the last call."""
        taken = []
        while self._pending:
            taken.append(self._pending.popleft())
        return taken

    def close(self, *, save: bool = True, timeout: float = 30.0) -> bool:  # noqa: ARG002
        """Notes how the session was closed."""
        self.closed_with_save = save
        return True
