"""Events of the text that the model writes: characters, applied settings, the race."""

from __future__ import annotations

from dataclasses import dataclass

from corpus import Vocabulary
from model.config import Lane, SamplingConfig
from model.constraint_config import Constraints


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A character that could have been written, and its probability."""

    character: str
    probability: float
    """Probability at temperature 1, before truncation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterWritten:
    """The sampler wrote one character."""

    character: str
    probability: float
    """Probability of the character at temperature 1, before truncation."""
    entropy: float
    """Entropy of the distribution at temperature 1, before truncation, in nats."""
    candidates: tuple[Candidate, ...]
    """The most likely characters, most likely first."""
    activation: float | None = None
    """Activation of the watched hidden unit after it read the character, -1 to 1; None if no unit
    is watched."""
    mask_bits: float | None = None
    """What forbidding letters cost here, bits: ``-log2`` of the probability of all allowed ones;
    None if all are allowed."""
    log_ratio: float | None = None
    """How much more likely the first of two models had the character, in bits; inf or -inf if only
    one has the symbol; None if one model writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustedCandidate:
    """A character that may be drawn next, and its probability before and after adjustment."""

    character: str
    probability: float
    """Probability at temperature 1, before truncation."""
    adjusted: float
    """Probability after temperature and truncation; 0 if truncation removed the character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextDistribution:
    """The distribution of the next character; reported a few times a second."""

    candidates: tuple[AdjustedCandidate, ...]
    """The most likely characters, most likely first."""
    entropy: float
    """Entropy at temperature 1, before truncation, in nats."""
    adjusted_entropy: float
    """Entropy after temperature and truncation, in nats."""
    kept: int
    """Number of characters with an adjusted probability above 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingRewound:
    """The last characters of the text were replaced."""

    back: int
    """Number of characters that were removed."""
    text: str
    """Characters that were inserted in their place."""
    forked: bool
    """Whether a fork began; otherwise the text from before the first fork is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceLane:
    """A lane at the start of a race."""

    lane: Lane
    is_written: bool = True
    """Whether its model exists. The race starts again once a missing one does."""
    bits_per_character: float | None = None
    """Of its model on the held-out text; None if unknown, and for the live and the best weights,
    whose losses ``Validated`` reports."""
    epoch: int | None = None
    """Epoch of its weights, for a lane of an epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceStarted:
    """Lanes start to write from one prompt with the same random numbers."""

    lanes: tuple[RaceLane, ...]
    """As many as the command named, in its order."""
    seed: int
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LanesWritten:
    """Each lane of the race that has a model wrote one character."""

    characters: tuple[str, ...]
    """One for each lane; empty for a lane without a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneTemperatureApplied:
    """A lane uses this temperature from its next character on."""

    lane: int
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceStopped:
    """The race ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingApplied:
    """Characters are drawn with these settings from the next ``CharacterWritten`` on."""

    sampling: SamplingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintsApplied:
    """The text obeys these constraints from the next ``CharacterWritten`` on."""

    constraints: Constraints
    note: str | None = None
    """Why they are not the wished ones; None if they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDrafted:
    """Drafts of a line, or of its rest, were judged; the next characters are those of one."""

    kept: int
    """Drafts that fit all rules; with none, the line is written without drafts or without rhyme."""
    drafts: int
    cost: float | None
    """Bits per character of the taken draft, less those of the draft that would have been taken
    without rules; None if none is taken."""

    @property
    def lacks_rhyme(self) -> bool:
        """Whether none rhymes, and one that fits all other rules is taken."""
        return not self.kept and self.cost is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingRestarted:
    """A new text started; the characters of its prompt are not sent as ``CharacterWritten``."""

    seed: int
    prompt: str
    """The prompt, after characters outside the vocabulary were replaced or dropped."""
    note: str | None
    """A sentence that says what was replaced or dropped; None if nothing was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabularyKnown:
    """The sampler received its first weights, and the vocabulary that belongs to them."""

    vocabulary: Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSwapped:
    """The sampler uses the weights of this step from the next ``CharacterWritten`` on."""

    step: int
    best: bool
    """Whether these weights have the lowest validation loss of the run; known after training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixApplied:
    """Two models write, with this weight of the second from the next ``CharacterWritten`` on."""

    mix: float
    """0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingHeld:
    """Writing was paused or continued."""

    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSet:
    """The rate of writing changed."""

    characters_per_second: float


WritingEvent = (
    CharacterWritten
    | SamplingApplied
    | ConstraintsApplied
    | LineDrafted
    | WritingRestarted
    | VocabularyKnown
    | WeightsSwapped
    | MixApplied
    | WritingHeld
    | RateSet
    | NextDistribution
    | WritingRewound
    | RaceStarted
    | LanesWritten
    | LaneTemperatureApplied
    | RaceStopped
)
