"""Events of the text that the model writes: characters, settings that took effect, the race."""

from __future__ import annotations

from dataclasses import dataclass

from corpus import Vocabulary
from model.config import SamplingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One character that the model considered."""

    character: str
    probability: float
    """At temperature 1, before any cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterWritten:
    """The sampler wrote one character."""

    character: str
    probability: float
    """The model's own probability for it: temperature 1, before any cut."""
    entropy: float
    """Of the model's own distribution, in nats."""
    candidates: tuple[Candidate, ...]
    """The most likely characters, most likely first."""
    activation: float | None = None
    """Of the hidden unit that is watched, after it read the character; -1 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedCharacter:
    """A character before one is drawn."""

    character: str
    own: float
    """The model's own probability: temperature 1, before any cut."""
    shaped: float
    """What it is drawn with, after temperature and cuts; 0 where it was cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextCharacterWeighed:
    """What the next character will be drawn from; said a few times a second."""

    candidates: tuple[WeighedCharacter, ...]
    """The most likely characters, most likely first."""
    entropy: float
    """Of the model's own distribution, in nats."""
    shaped_entropy: float
    """Of what the character is drawn from, in nats."""
    kept: int
    """Characters that the cuts leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingRewound:
    """The last characters were taken back and others stand in their place."""

    back: int
    text: str
    forked: bool
    """Whether a fork began; else the trunk stands again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceStarted:
    """Lanes begin to write from one prompt with the same random numbers."""

    temperatures: tuple[float, ...]
    seed: int
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LanesWritten:
    """Each lane of the race wrote one character."""

    characters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneTemperatureApplied:
    """From its next character on, a lane writes at this temperature."""

    lane: int
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceStopped:
    """The race is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingApplied:
    """Characters are drawn with these settings from the next ``CharacterWritten`` on."""

    sampling: SamplingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingRestarted:
    """The text begins anew; the characters of the prompt do not arrive one by one."""

    seed: int
    prompt: str
    """What the model was given to go on from, after characters outside its vocabulary were
    replaced or dropped."""
    note: str | None
    """What was replaced or dropped, as a sentence; None where nothing was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabularyKnown:
    """The model has weights now, and with them the characters that it can read and write."""

    vocabulary: Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSwapped:
    """From the next ``CharacterWritten`` on, the model writes with the weights of this step."""

    step: int
    best: bool
    """Whether they are the weights with the lowest validation loss (after training ended)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingHeld:
    """Writing stopped, or went on."""

    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSet:
    """The pace of writing changed."""

    characters_per_second: float


WritingEvent = (
    CharacterWritten
    | SamplingApplied
    | WritingRestarted
    | VocabularyKnown
    | WeightsSwapped
    | WritingHeld
    | RateSet
    | NextCharacterWeighed
    | WritingRewound
    | RaceStarted
    | LanesWritten
    | LaneTemperatureApplied
    | RaceStopped
)
