"""A queue of events that never makes its writer wait and never grows without bound."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from model.events import Event, StepFinished

CAPACITY = 8192


class EventQueue:
    """First in, first out. When nobody takes events, steps are thinned out and all else is kept.

    Steps are the only event that comes many times a second; half of a dense curve is still the
    curve, while a lost ``Finished`` would leave the screen waiting for ever.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._events: deque[Event] = deque()
        self._lock = threading.Lock()

    def put(self, event: Event) -> None:
        """Adds an event."""
        with self._lock:
            if len(self._events) >= self._capacity:
                self._thin_out()
            self._events.append(event)

    def take_all(self) -> Sequence[Event]:
        """Removes and returns all events, oldest first."""
        with self._lock:
            taken, self._events = self._events, deque()
        return taken

    def _thin_out(self) -> None:
        kept: deque[Event] = deque()
        keep_step = True
        for event in self._events:
            if isinstance(event, StepFinished):
                if keep_step:
                    kept.append(event)
                keep_step = not keep_step
            else:
                kept.append(event)
        self._events = kept
