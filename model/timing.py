"""Stopwatch, characters per second, and the fastest of several ways to do the same work.

Pure except for the clock that the caller passes.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

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


class Throughput:
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


CandidateT = TypeVar("CandidateT")


def fastest(
    ways: Sequence[CandidateT],
    timer: Callable[[CandidateT], float],
    threads_of: Callable[[CandidateT], int],
    *,
    rounds: int,
    min_speedup: float,
    prune_ratio: float = float("inf"),
    budget: float = float("inf"),
    clock: Callable[[], float] = time.perf_counter,
) -> CandidateT:
    """Returns the way with the shortest best time in interleaved rounds, the first untimed.

    Of ways that are about as quick the one with the fewest threads is taken: others need the cores,
    too.

    Args:
        ways: at least one; a single one is not measured.
        timer: does the work once in a way and returns the seconds that it took.
        threads_of: how many cores a way keeps busy.
        rounds: at most so many, beside the untimed one.
        min_speedup: how many times as quick one must be that takes more threads.
        prune_ratio: a way that took so many times the best time so far is not measured again.
        budget: seconds; once they are used up, there is no further round.
        clock: in seconds.
    """
    if len(ways) == 1:
        return ways[0]
    began = clock()
    for way in ways:
        timer(way)
    best = dict.fromkeys(ways, float("inf"))
    left = list(ways)
    for _ in range(rounds):
        for way in left:
            best[way] = min(best[way], timer(way))
        shortest = min(best.values())
        left = [way for way in left if best[way] <= prune_ratio * shortest]
        if clock() - began > budget or len(left) == 1:
            break
    shortest = min(best.values())
    good = [way for way in ways if best[way] <= min_speedup * shortest]
    return min(good, key=lambda way: (threads_of(way), best[way]))
