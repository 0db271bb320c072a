"""Rows of a benchmark: ways of doing the same work, timed in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["training", "sampling"]

Way = Callable[[float], float]
"""Works for about so many seconds; returns characters per second."""

OURS = "ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One piece of work that can be done in several ways."""

    kind: Kind
    hidden: int
    layers: int
    width: int
    """Streams of text in a training step, or streams that are written side by side."""
    device: str = "cpu"
    """Where all but a limit is computed; of writing, the draws are made on the CPU in our way."""

    @property
    def width_name(self) -> str:
        """What the width is called."""
        return "batch" if self.kind == "training" else "streams"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one way achieved at one task."""

    task: Task
    way: str
    characters_per_second: float
    """Median of the rounds."""
    spread: tuple[float, float]
    """Least and most."""
    ratio: float
    """Median over the rounds of our rate divided by this way's."""

    def record(self) -> dict[str, Any]:
        """Returns the row as plain values for JSON."""
        elsewhere = {} if self.task.device == "cpu" else {"device": self.task.device}
        return {
            "kind": self.task.kind,
            **elsewhere,
            "hidden": self.task.hidden,
            "layers": self.task.layers,
            self.task.width_name: self.task.width,
            "way": self.way,
            "characters_per_second": round(self.characters_per_second, 1),
            "spread": [round(rate, 1) for rate in self.spread],
            "ratio": round(self.ratio, 3),
        }


def rate_of(work: Callable[[], object], characters: int, span: float) -> float:
    """Returns characters per second of work that does so many; it is done once at least.

    Args:
        work: what is timed, over and over.
        characters: that it does each time.
        span: seconds.
    """
    began = time.perf_counter()
    done = 0
    while (seconds := time.perf_counter() - began) < span or not done:
        work()
        done += characters
    return done / seconds


def compare(task: Task, ways: Mapping[str, Way], *, rounds: int, span: float) -> Iterator[Row]:
    """Times each way once a round, so that what slows the machine down slows all of them down.

    Args:
        task: what is done.
        ways: how; `OURS` is among them.
        rounds: that count; one before them does not.
        span: seconds of each way in a round.
    """
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(span / 4)
    for _ in range(rounds):
        for name, way in ways.items():
            rates[name].append(way(span))
    for name, found in rates.items():
        pairs = zip(rates[OURS], found, strict=True)
        yield Row(
            task=task,
            way=name,
            characters_per_second=statistics.median(found),
            spread=(min(found), max(found)),
            ratio=statistics.median(ours / other for ours, other in pairs),
        )
