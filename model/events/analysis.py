"""Events about analyses beside the training: novelty, references, hidden units."""

from __future__ import annotations

from dataclasses import dataclass

from corpus.novelty import NoveltyIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class NoveltyIndexed:
    """The index of the corpus is ready: new words and copied spans can be found."""

    index: NoveltyIndex | None
    """None if the text is too long for an index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencesMeasured:
    """What needs no network was measured on the same text: compressors and an n-gram model."""

    bits_per_character: tuple[tuple[str, float], ...]
    """Name of each reference, and its bits per character."""
    note: str = ""
    """A sentence about a text that was too large to be counted whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedUnit:
    """The hidden unit whose activation correlates best with a feature of the text."""

    feature: str
    layer: int
    unit: int
    correlation: float
    """Correlation of activation and feature over the characters of a held-out text, -1 to 1."""

    @property
    def words(self) -> str:
        """What the unit tracks; one that falls where the feature rises is inverted."""
        return self.feature if self.correlation >= 0 else f"{self.feature}, inverted"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitsRanked:
    """The best unit for each feature was found, with the newest weights."""

    units: tuple[RankedUnit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMissing:
    """The text of a run cannot be read again or be analysed, so analyses are not available."""

    reason: str
    """A sentence."""


AnalysisEvent = NoveltyIndexed | ReferencesMeasured | UnitsRanked | TextMissing
