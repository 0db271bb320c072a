"""Training time: seconds since a run began, with pauses left out. Pure but for the clock given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

Clock = Callable[[], float]
"""Returns seconds from a monotonic source."""


class Stopwatch:
    """Counts on from ``start`` seconds; ``pause`` and ``go_on`` may be repeated."""

    def __init__(self, clock: Clock, start: float = 0.0) -> None:
        self._clock = clock
        self._counted = start
        self._since: float | None = clock()

    @property
    def seconds(self) -> float:
        """Counted seconds."""
        running = 0.0 if self._since is None else self._clock() - self._since
        return self._counted + running

    def pause(self) -> None:
        """Stops counting."""
        self._counted = self.seconds
        self._since = None

    def go_on(self) -> None:
        """Counts on."""
        if self._since is None:
            self._since = self._clock()


class Speedometer:
    """Characters per second over the last few seconds of steps, and over all of them."""

    def __init__(self, window: float = 2.0) -> None:
        self._window = window
        self._recent: deque[tuple[int, float]] = deque()
        self._recent_characters = 0
        self._recent_seconds = 0.0
        self._characters = 0
        self._seconds = 0.0

    def add(self, characters: int, seconds: float) -> None:
        """Counts a step of so many characters that took so long."""
        self._recent.append((characters, seconds))
        self._recent_characters += characters
        self._recent_seconds += seconds
        self._characters += characters
        self._seconds += seconds
        while len(self._recent) > 1 and self._recent_seconds > self._window:
            old_characters, old_seconds = self._recent.popleft()
            self._recent_characters -= old_characters
            self._recent_seconds -= old_seconds

    @property
    def recent(self) -> float:
        """Over the last two seconds or so; 0 before the first step."""
        return self._recent_characters / self._recent_seconds if self._recent_seconds > 0 else 0.0

    @property
    def mean(self) -> float:
        """Over all steps; 0 before the first."""
        return self._characters / self._seconds if self._seconds > 0 else 0.0
