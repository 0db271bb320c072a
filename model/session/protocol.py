"""The protocol between the model and the screen.

The screen posts commands and polls events; neither side waits for the other. The screen depends
only on this protocol. ``model.session.live`` implements it with real workers.
``model.session.scripted`` is a fake for tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from model.commands import Command
from model.events import Event


class Session(Protocol):
    """One open session: always a sampler, and a trainer if a model is trained."""

    def start(self) -> None:
        """Starts the workers and returns immediately."""

    def post(self, command: Command) -> None:
        """Passes a command to the workers; never blocks. Ended workers ignore it."""

    def poll(self) -> Sequence[Event]:
        """Returns the events since the last call, in order; never blocks."""

    def close(self, *, save: bool = True, timeout: float = 30.0) -> bool:
        """Stops and joins the workers; the trainer first saves a checkpoint if ``save`` is true.

        Safe to call from any thread and more than once.

        Returns:
            Whether every worker ended within ``timeout`` seconds.
        """
        ...
