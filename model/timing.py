"""Stopwatch, due times, throughput, and the fastest of several candidates.

The caller passes the clock; the rest has no side effects.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from statistics import median_low
from typing import TypeVar

Clock = Callable[[], float]
"""Returns seconds from a monotonic source."""


class Stopwatch:
    """Counts seconds from ``start``; repeated calls of ``pause`` or ``go_on`` have no effect."""

    def __init__(self, clock: Clock, start: float = 0.0) -> None:
        self._clock = clock
        self._counted = start
        self._since: float | None = clock()

    @property
    def seconds(self) -> float:
        """Seconds counted until now, without pauses."""
        running = 0.0 if self._since is None else self._clock() - self._since
        return self._counted + running

    def pause(self) -> None:
        """Stops counting."""
        self._counted = self.seconds
        self._since = None

    def go_on(self) -> None:
        """Continues to count after a pause."""
        if self._since is None:
            self._since = self._clock()


class Due:
    """Checks whether enough time has passed since the last restart."""

    def __init__(self, clock: Clock) -> None:
        """Starts to count now."""
        self._clock = clock
        self._last = clock()

    def after(self, seconds: float) -> bool:
        """Returns whether at least ``seconds`` have passed since the last restart."""
        return self._clock() - self._last >= seconds

    def restart(self) -> None:
        """Starts to count from zero."""
        self._last = self._clock()


class Throughput:
    """Training throughput in characters per second: over a recent window, and over all steps."""

    def __init__(self, window: float = 2.0) -> None:
        self._window = window
        self._recent: deque[tuple[int, float]] = deque()
        self._recent_characters = 0
        self._recent_seconds = 0.0
        self._characters = 0
        self._seconds = 0.0

    def add(self, characters: int, seconds: float) -> None:
        """Adds a step of ``characters`` that took ``seconds``."""
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
        """Characters per second over about the last two seconds; 0 before the first step."""
        return self._recent_characters / self._recent_seconds if self._recent_seconds > 0 else 0.0

    def steps_in(self, seconds: float) -> float:
        """Returns the steps of some seconds at the recent speed; 0 if no time has passed."""
        has_passed = self._recent_seconds > 0
        return len(self._recent) * seconds / self._recent_seconds if has_passed else 0.0

    @property
    def mean(self) -> float:
        """Characters per second over all steps; 0 before the first step."""
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
    """Returns the candidate with the shortest median time in interleaved rounds.

    The first round is not timed. On a machine that others use, the best of several times says
    little about the next minutes. Among candidates of about equal speed the one with the fewest
    threads wins, because other programs need the cores too.

    Args:
        candidates: at least one candidate; a single one is not measured.
        timer: does the work once with a candidate and returns the seconds that it took.
        threads_of: returns how many cores a candidate keeps busy.
        rounds: maximum number of timed rounds.
        min_speedup: how many times as fast a candidate with more threads must be.
        prune_ratio: a candidate slower than this multiple of the shortest is not timed again.
        budget: seconds after which no further round starts.
        clock: returns seconds.
    """
    if len(candidates) == 1:
        return candidates[0]
    began = clock()
    for candidate in candidates:
        timer(candidate)
    times: dict[CandidateT, list[float]] = {candidate: [] for candidate in candidates}
    typical: dict[CandidateT, float] = {}
    left = list(candidates)
    for _ in range(rounds):
        for candidate in left:
            times[candidate].append(timer(candidate))
        typical = {candidate: median_low(times[candidate]) for candidate in candidates}
        shortest = min(typical.values())
        left = [candidate for candidate in left if typical[candidate] <= prune_ratio * shortest]
        if clock() - began > budget or len(left) == 1:
            break
    shortest = min(typical.values())
    good = [candidate for candidate in candidates if typical[candidate] <= min_speedup * shortest]
    return min(good, key=lambda candidate: (threads_of(candidate), typical[candidate]))
