"""A bounded queue of events that never blocks its writer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from model.events import Event, StepFinished

CAPACITY = 8192
"""Number of events at which the queue starts to drop steps."""


class EventQueue:
    """A first-in, first-out queue that drops every second ``StepFinished`` when it is full.

    All other events are kept, because a lost ``Finished`` would make the screen wait forever.
    Only steps come many times a second, and half of a dense curve still shows its shape.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._events: deque[Event] = deque()
        self._lock = threading.Lock()

    def put(self, event: Event) -> None:
        """Adds an event at the end of the queue."""
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
