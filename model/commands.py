"""Commands from the screen to the workers: immutable, named in the imperative.

Posting a command never blocks. Its result arrives as an event.
"""

from __future__ import annotations

from dataclasses import dataclass

from model.config import Lane, SamplingConfig
from model.constraint_config import Constraints


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseTraining:
    """Finish the current step, then wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueTraining:
    """Continue training after a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTraining:
    """End training: validate, save, and let the sampler continue with the best weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveCheckpoint:
    """Save a checkpoint after the current step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSampling:
    """Sample with these settings from the next character on."""

    sampling: SamplingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SetConstraints:
    """Obey these constraints from the next character on."""

    constraints: Constraints


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMix:
    """Give the second of two models this weight from the next character on."""

    mix: float
    """0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldWriting:
    """Pause writing and keep the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueWriting:
    """Continue writing after a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRate:
    """Write at this rate in characters per second."""

    characters_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartWriting:
    """Start a new text from a zero state."""

    seed: int | None = None
    """Seed of the new text; None draws a random one."""
    prompt: str | None = None
    """Prompt of the new text; None keeps the current prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRace:
    """Write texts from one prompt by several models or temperatures side by side."""

    lanes: tuple[Lane, ...]
    seed: int | None = None
    """Seed that all lanes share; None draws a random one."""
    epoch: int | None = None
    """Epoch whose weights write the lane of an epoch, or else the nearest one that is kept; None
    takes the first that is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLaneTemperature:
    """Sample a lane at this temperature from its next character on."""

    lane: int
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRace:
    """End the race."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkWriting:
    """Remove the last characters, insert ``character`` in their place, and continue from there."""

    back: int
    """Number of characters to remove, 1 or more."""
    character: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnToTrunk:
    """Restore the text from before the first fork."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchUnit:
    """Report the activation of a hidden unit with every character."""

    layer: int
    unit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDuel:
    """Choose a held-out passage whose letters the user and the model guess."""

    seed: int | None = None
    """Chooses the passage; None draws a random one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeLetter:
    """Let the model guess a letter of the duel that the user has solved, and keep the score."""

    place: int
    """Of the letter in the passage, from 0."""
    rank: int
    """Number of the user's guesses, the right one included."""
    gave_up: bool


TrainingCommand = PauseTraining | ContinueTraining | StopTraining | SaveCheckpoint
WritingCommand = (
    SetSampling
    | SetConstraints
    | SetMix
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
DuelCommand = StartDuel | JudgeLetter
Command = TrainingCommand | WritingCommand | DuelCommand
