"""The seam between the model and whatever shows it.

Commands go down, events come up, and neither side ever waits for the other. A screen is written
against this protocol; ``model.session.live`` runs the real workers behind it and
``model.session.scripted`` is its tiny official fake.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from model.commands import Command
from model.events import Event


class Session(Protocol):
    """One open session: perhaps a trainer, always a sampler."""

    def start(self) -> None:
        """Starts the workers and returns at once."""

    def post(self, command: Command) -> None:
        """Hands a command to the workers; never waits, and is ignored once they have ended."""

    def poll(self) -> Sequence[Event]:
        """Takes everything that happened since the last call, in order; never waits."""

    def close(self, *, save: bool = True, timeout: float = 30.0) -> bool:
        """Stops and joins the workers; the trainer saves first if ``save``.

        Safe to call from any thread and more than once.

        Returns:
            Whether every worker ended within ``timeout`` seconds.
        """
        ...
