"""A live session, and everything that it says."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from model_fixtures import EventT, of_kind
from patience import PATIENCE, wait_until

from model.commands import Command, SetSampling
from model.config import SamplingConfig
from model.events import CharacterWritten, Event, SamplingApplied
from model.runs.request import RunRequest
from model.session.live import LiveSession, SavedWeights

ENDLESS = 100_000
"""Epochs."""
FAST = 100_000.0
"""Characters per second; more than is ever reached."""


class Watched:
    """A session and everything that it said."""

    def __init__(self, session: LiveSession) -> None:
        self.session = session
        self.events: list[Event] = []

    def poll(self) -> None:
        self.events.extend(self.session.poll())

    def post(self, command: Command) -> None:
        self.session.post(command)

    def of(self, kind: type[EventT]) -> list[EventT]:
        return of_kind(self.events, kind)

    def until(self, condition: Callable[[], object]) -> None:
        def holds() -> bool:
            self.poll()
            return bool(condition())

        wait_until(holds)

    def until_event(self, kind: type[EventT], count: int = 1) -> EventT:
        self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    def text(self) -> str:
        return "".join(event.character for event in self.of(CharacterWritten))

    def let_the_writer_catch_up(self, answers: int = 1) -> None:
        """Returns once the writer has obeyed a command that changes nothing, and then another.

        Between them it writes whatever is due. `answers` counts the calls.
        """
        for number in (2 * answers - 1, 2 * answers):
            self.post(SetSampling(sampling=SamplingConfig()))
            self.until_event(SamplingApplied, number)

    def after(self, event: Event) -> list[Event]:
        place = next(i for i, other in enumerate(self.events) if other is event)
        return self.events[place + 1 :]


@contextlib.contextmanager
def opened(work: RunRequest | SavedWeights, **options: Any) -> Iterator[Watched]:
    settings: dict[str, Any] = {"sampling": SamplingConfig(), "rate": 2000.0, "seed": 1, **options}
    session = LiveSession(work, **settings)
    session.start()
    try:
        yield Watched(session)
    finally:
        assert session.close(save=False, timeout=PATIENCE)
        assert {"trainer", "sampler"}.isdisjoint(thread.name for thread in threading.enumerate())
