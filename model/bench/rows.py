"""Rows of a benchmark: implementations of one task, timed in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["training", "sampling"]

Implementation = Callable[[float], float]
"""Takes a time in seconds, works for about as long, and returns characters per second."""

OURS = "ours"
"""Name of our implementation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One piece of work that can be done in several implementations."""

    kind: Kind
    hidden: int
    layers: int
    width: int
    """Streams of a training step, or streams sampled side by side."""
    device: str = "cpu"
    """Device of all implementations but the limits. Ours draws characters on the CPU."""

    @property
    def width_name(self) -> str:
        """Name of the width in the JSON row."""
        return "batch" if self.kind == "training" else "streams"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one implementation achieved at one task."""

    task: Task
    way: str
    """Name of the implementation."""
    characters_per_second: float
    """Median of the rounds."""
    spread: tuple[float, float]
    """Minimum and maximum of the rounds."""
    ratio: float
    """Median over the rounds of our rate divided by this one."""

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


def rate_of(work: Callable[[], object], characters: float, span: float) -> float:
    """Repeats some work, at least once; returns characters per second.

    Args:
        work: is called again and again.
        characters: of one call.
        span: seconds after which no call begins.
    """
    began = time.perf_counter()
    done = 0.0
    while (seconds := time.perf_counter() - began) < span or not done:
        work()
        done += characters
    return done / seconds


def compare(
    task: Task, implementations: Mapping[str, Implementation], *, rounds: int, span: float
) -> Iterator[Row]:
    """Times each implementation once a round, so that a busy machine slows all of them down.

    Args:
        task: what is done.
        implementations: by name; `OURS` is among them.
        rounds: number of timings; a shorter warm-up comes before them.
        span: seconds of each implementation in a round.
    """
    rates: dict[str, list[float]] = {name: [] for name in implementations}
    for implementation in implementations.values():
        implementation(span / 4)
    for _ in range(rounds):
        for name, implementation in implementations.items():
            rates[name].append(implementation(span))
    for name, measured in rates.items():
        pairs = zip(rates[OURS], measured, strict=True)
        yield Row(
            task=task,
            way=name,
            characters_per_second=statistics.median(measured),
            spread=(min(measured), max(measured)),
            ratio=statistics.median(ours / other for ours, other in pairs),
        )
