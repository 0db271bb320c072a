"""Wishes that travel from the screen to the workers: frozen, in the imperative.

Posting one never waits. What came of it arrives as an event.
"""

from __future__ import annotations

from dataclasses import dataclass

from model.config import SamplingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseTraining:
    """Finish the step at hand, then wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueTraining:
    """Go on after a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTraining:
    """End training for good: validate, save, let the sampler write on from the best weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveCheckpoint:
    """Save after the step at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSampling:
    """Draw the next character, and all after it, with these settings."""

    sampling: SamplingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldWriting:
    """Stop writing where it is, keeping the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueWriting:
    """Go on writing after a hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRate:
    """Write at this pace, characters per second."""

    characters_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartWriting:
    """Begin the text anew from a cold state."""

    seed: int | None = None
    """None draws a new one."""
    prompt: str | None = None
    """None keeps the prompt that is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRace:
    """Write one text at several temperatures, side by side, from now on."""

    temperatures: tuple[float, ...]
    seed: int | None = None
    """None draws a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLaneTemperature:
    """Sample the next character of a lane at this temperature."""

    lane: int
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRace:
    """End the race."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkWriting:
    """Take back the last characters, write another one in the place of the first, and go on."""

    back: int
    """How many characters, 1 or more."""
    character: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnToTrunk:
    """Take back everything since the first fork; the text from before it stands again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchUnit:
    """Tell the activation of a hidden unit with every character."""

    layer: int
    unit: int


TrainingCommand = PauseTraining | ContinueTraining | StopTraining | SaveCheckpoint
WritingCommand = (
    SetSampling
    | HoldWriting
    | ContinueWriting
    | SetRate
    | RestartWriting
    | StartRace
    | SetLaneTemperature
    | StopRace
    | WatchUnit
    | ForkWriting
    | ReturnToTrunk
)
Command = TrainingCommand | WritingCommand
