"""Which of several ways of doing the same work is the quickest here: it is measured. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

WayT = TypeVar("WayT")


def quickest(
    ways: Sequence[WayT],
    timer: Callable[[WayT], float],
    threads_of: Callable[[WayT], int],
    *,
    rounds: int,
    least_gain: float,
    hopeless: float = float("inf"),
    budget: float = float("inf"),
    clock: Callable[[], float] = time.perf_counter,
) -> WayT:
    """Returns the way with the shortest best time in interleaved rounds, the first untimed.

    Of ways that are about as quick the one with the fewest threads is taken: others need the cores,
    too.

    Args:
        ways: at least one; a single one is not measured.
        timer: does the work once in a way and returns the seconds that it took.
        threads_of: how many cores a way keeps busy.
        rounds: at most so many, beside the untimed one.
        least_gain: how many times as quick one must be that takes more threads.
        hopeless: a way that took so many times the best time so far is not measured again.
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
        left = [way for way in left if best[way] <= hopeless * shortest]
        if clock() - began > budget or len(left) == 1:
            break
    shortest = min(best.values())
    good = [way for way in ways if best[way] <= least_gain * shortest]
    return min(good, key=lambda way: (threads_of(way), best[way]))
