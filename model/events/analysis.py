"""Events of what is measured beside the training: novelty, compressors, hidden units."""

from __future__ import annotations

from dataclasses import dataclass

from corpus.novelty import NoveltyIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class NoveltyIndexed:
    """What of a written text is new and what is copied can be told from now on."""

    index: NoveltyIndex | None
    """None: the text is too long for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencesMeasured:
    """What general-purpose compressors reach on the same text."""

    bits_per_character: tuple[tuple[str, float], ...]
    """Name and figure of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedUnit:
    """The hidden unit that tracks something in the text best."""

    feature: str
    layer: int
    unit: int
    correlation: float
    """Of its activation with the feature over the characters of a held-out text; -1 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitsRanked:
    """Which units track what, by the newest weights."""

    units: tuple[RankedUnit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMissing:
    """The text of a saved run cannot be read again, so nothing can be compared with it."""

    reason: str
    """A sentence."""


AnalysisEvent = NoveltyIndexed | ReferencesMeasured | UnitsRanked | TextMissing
