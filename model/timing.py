"""Stopwatch, due times, throughput, and the fastest of several candidates.

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


class Due:
    """Tells whether enough seconds passed since the last time."""

    def __init__(self, clock: Clock) -> None:
        """Counts from now."""
        self._clock = clock
        self._last = clock()

    def after(self, seconds: float) -> bool:
        """Tells whether at least ``seconds`` passed since the last restart."""
        return self._clock() - self._last >= seconds

    def restart(self) -> None:
        """Counts from now again."""
        self._last = self._clock()


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
        """Counts a step."""
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
    candidates: Sequence[CandidateT],
    timer: Callable[[CandidateT], float],
    threads_of: Callable[[CandidateT], int],
    *,
    rounds: int,
    min_speedup: float,
    prune_ratio: float = float("inf"),
    budget: float = float("inf"),
    clock: Callable[[], float] = time.perf_counter,
) -> CandidateT:
    """Returns the candidate with the shortest best time in interleaved rounds.

    The first round is not timed. Among candidates of about equal speed the one with the fewest
    threads wins, because other programs need the cores too.

    Args:
        candidates: at least one candidate; a single one is not measured.
        timer: does the work once with a candidate and returns the seconds that it took.
        threads_of: returns how many cores a candidate keeps busy.
        rounds: maximum number of timed rounds.
        min_speedup: how many times as fast a candidate with more threads must be.
        prune_ratio: a candidate slower than this multiple of the best time is not timed again.
        budget: seconds after which no further round starts.
        clock: returns seconds.
    """
    if len(candidates) == 1:
        return candidates[0]
    began = clock()
    for candidate in candidates:
        timer(candidate)
    best = dict.fromkeys(candidates, float("inf"))
    left = list(candidates)
    for _ in range(rounds):
        for candidate in left:
            best[candidate] = min(best[candidate], timer(candidate))
        shortest = min(best.values())
        left = [candidate for candidate in left if best[candidate] <= prune_ratio * shortest]
        if clock() - began > budget or len(left) == 1:
            break
    shortest = min(best.values())
    good = [candidate for candidate in candidates if best[candidate] <= min_speedup * shortest]
    return min(good, key=lambda candidate: (threads_of(candidate), best[candidate]))
