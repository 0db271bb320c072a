"""What the app opens when its session has ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class NextSession:
    """A session that the user asked for; the command line starts it after this one has saved."""

    kind: Literal["open", "resume", "again", "mix", "excerpt"]
    """Write with saved weights, continue a run, begin a new run on the same text, write one text
    with two runs, or train on the beginning of the same text."""
    run: str
    """Name of the run. For a new run: the run whose text it trains on."""
    path: Path | None = None
    """The checkpoint to open; None: the best one of the run."""
    second: str | None = None
    """Name of the second run, which writes the same text."""
    minutes: float | None = None
    """Minutes to train beyond those of the run; None keeps the plan of the run."""
    preset: str | None = None
    """Preset of a new run."""
