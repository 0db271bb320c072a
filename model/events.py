"""Facts that travel from the workers to whoever watches: frozen, in the past tense.

Two kinds share the channel. *Recorded* events are the lines of ``metrics.jsonl`` and of
``train --json``; their field names are a contract. *Live* events concern one open session and
are never written to a file. This module knows no thread, no screen and no torch.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, get_args

from corpus import Vocabulary
from corpus.files.json_text import json_text
from corpus.novelty import NoveltyIndex

TrainingState = Literal["preparing", "training", "paused", "validating", "finished"]
FinishReason = Literal["completed", "stopped", "diverged"]


# --- recorded events: one JSON object a line ----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """Base of what ``metrics.jsonl`` holds; ``name`` is the value of the key ``event``."""

    name: ClassVar[str]

    time: float
    """Seconds since the run began, pauses left out and earlier sessions of the run counted in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(RecordedEvent):
    """A session of a run began (a resumed run has several)."""

    name: ClassVar[str] = "run_started"

    run: str
    corpus: str
    characters: int
    vocabulary: int
    """Number of distinct symbols."""
    parameters: int
    preset: str
    device: str
    precision: str
    threads: int
    seed: int
    new_text: bool = False
    """Whether the validation losses before cannot be compared with those that come; a line of a
    file says it where it is so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(RecordedEvent):
    """One optimiser step was made."""

    name: ClassVar[str] = "step"

    step: int
    epoch: int
    """The epoch that the step belongs to, counted from 1."""
    loss: float
    """Training loss of this step's batch, nats per character."""
    learning_rate: float
    gradient_norm: float
    """Global L2 norm before clipping."""
    characters_per_second: float
    """Smoothed over the last steps; validation and saving left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated(RecordedEvent):
    """The held-out text was scored."""

    name: ClassVar[str] = "validation"

    step: int
    epoch: int
    nats_per_character: float
    bits_per_character: float
    best: bool
    """Whether this is the lowest of the run so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved(RecordedEvent):
    """A checkpoint is on disk, complete."""

    name: ClassVar[str] = "checkpoint"

    step: int
    path: str
    best: bool
    """Whether it holds the weights with the lowest validation loss so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRecorded(RecordedEvent):
    """The model wrote a sample after an epoch; ``samples.jsonl`` holds these too."""

    name: ClassVar[str] = "sample"

    step: int
    epoch: int
    temperature: float
    seed: int
    prompt: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningRaised(RecordedEvent):
    """Something that the user should know and that did not end the run."""

    name: ClassVar[str] = "warning"

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(RecordedEvent):
    """Training ended; the run's last checkpoint is on disk unless it was told not to save."""

    name: ClassVar[str] = "finished"

    reason: FinishReason
    step: int
    best_nats_per_character: float | None
    best_bits_per_character: float | None
    seconds: float
    """Training time of the whole run, pauses left out."""
    characters_per_second: float
    """Mean over this session's steps."""


def to_json_line(event: RecordedEvent) -> str:
    """Returns the event as one line of JSON without its newline.

    A float that JSON cannot hold (infinite, not a number) becomes ``null``.
    """
    record: dict[str, Any] = {"event": event.name}
    for field in fields(event):
        value = getattr(event, field.name)
        if field.name == "new_text" and not value:
            continue
        if isinstance(value, float):
            value = float(f"{value:.7g}") if math.isfinite(value) else None
        record[field.name] = value
    return json_text(record)


def recorded_event(record: Mapping[str, Any]) -> RecordedUnion | None:
    """Returns the event that a line of a run's file holds; None for one that makes no sense.

    A number that JSON could not hold comes back as one that is not a number.
    """
    every: tuple[type[RecordedUnion], ...] = (
        RunStarted,
        StepFinished,
        Validated,
        CheckpointSaved,
        SampleRecorded,
        WarningRaised,
        Finished,
    )
    kinds = {kind.name: kind for kind in every}
    kind = kinds.get(str(record.get("event")))
    if kind is None:
        return None
    optional = {"best_nats_per_character", "best_bits_per_character"}
    values: dict[str, Any] = {
        name: math.nan if value is None and name not in optional else value
        for name, value in record.items()
        if name != "event"
    }
    try:
        event = kind(**values)
    except TypeError:
        return None
    right = all(_fits(getattr(event, field.name), str(field.type)) for field in fields(event))
    return event if right else None


def of_the_last_text(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns the lines of a run's file without validations of a text that it was in before."""
    borders = [
        number
        for number, record in enumerate(records)
        if record.get("event") == RunStarted.name and record.get("new_text") is True
    ]
    border = borders[-1] if borders else 0
    return [
        record
        for number, record in enumerate(records)
        if number >= border or record.get("event") != Validated.name
    ]


def _fits(value: object, annotation: str) -> bool:
    """Tells whether a value from a file is of a field's type; a whole number passes for a float."""
    if annotation == "FinishReason":
        return value in get_args(FinishReason)
    if annotation == "bool" or isinstance(value, bool):
        return annotation == "bool" and isinstance(value, bool)
    allowed: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "float": (int, float),
        "float | None": (int, float, type(None)),
        "str": (str,),
    }
    if isinstance(value, int) and abs(value) > sys.maxsize:
        return False  # no count of ours, and perhaps too large for a float
    return isinstance(value, allowed[annotation])


def event_from_record(
    record: Mapping[str, Any], *, last_step: int
) -> StepFinished | Validated | SampleRecorded | None:
    """Returns the step, validation or sample that a line of a run's file holds.

    None for any other event, a line that makes no sense, and steps after ``last_step``, which a
    resumed run makes anew.
    """
    event = recorded_event(record)
    if not isinstance(event, StepFinished | Validated | SampleRecorded):
        return None
    try:
        return event if event.step <= last_step else None
    except TypeError:
        return None


# --- live events --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """Work before the first step: importing torch, reading the corpus, building the network."""

    stage: str
    fraction: float | None = None
    """Done part from 0 to 1, where it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """How long the training will be; the screen's progress bars follow from it."""

    steps_per_epoch: int
    planned_steps: int | None
    """Total steps where the plan counts epochs, else None."""
    planned_seconds: float | None
    """Total training time where the plan is a time budget, else None."""
    first_step: int
    """Steps made before this session (0 for a new run)."""
    layers: int
    hidden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputingChanged:
    """The trainer computes in another way from the next step on."""

    threads: int
    """As in ``RunStarted``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStateChanged:
    """The trainer went from one state to another."""

    state: TrainingState


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveFailed:
    """A checkpoint could not be saved; this stays true until the next ``CheckpointSaved``."""

    sentence: str
    """The run's folder and the cause."""
    retry_seconds: float
    """Until the trainer tries again by itself."""


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
class CutsApplied:
    """From the next ``CharacterWritten`` on, these cuts hold."""

    top_k: int
    top_p: float
    min_p: float


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
class TemperatureApplied:
    """From the next ``CharacterWritten`` on, this temperature holds."""

    temperature: float


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRefused:
    """The outside world ended the session: no such text, a damaged checkpoint."""

    error: Exception
    """A ``corpus.errors.UserError``; the program ends with its sentence and exit status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCrashed:
    """A defect of ours ended a worker; the other one goes on."""

    worker: Literal["trainer", "sampler"]
    sentence: str
    traceback: str


WritingEvent = (
    CharacterWritten
    | TemperatureApplied
    | WritingRestarted
    | VocabularyKnown
    | WeightsSwapped
    | WritingHeld
    | RateSet
    | NextCharacterWeighed
    | WritingRewound
    | CutsApplied
    | RaceStarted
    | LanesWritten
    | LaneTemperatureApplied
    | RaceStopped
)


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
class AcceleratorMeasured:
    """What the training takes of a GPU; said once a second where there is one."""

    device: str
    """As its maker calls it."""
    bytes: int
    """Memory that this process holds there."""
    bytes_total: int
    """Memory that it has; 0 where that is not told."""
    busy: float | None
    """Part of the recent time in which it computed, whoever for; None where that is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMissing:
    """The text of a saved run cannot be read again, so nothing can be compared with it."""

    reason: str
    """A sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsOpened:
    """A saved checkpoint was opened to write from, not to train on."""

    step: int
    nats_per_character: float | None
    """Validation loss of these weights; None where they were not validated."""
    best: bool
    """Whether that was the lowest of the run when they were saved."""
    last_step: int
    """Of the run, as far as its file tells."""
    run_ended: FinishReason | None
    """How the run's training ended; None where it did not, or where nothing tells."""


AnalysisEvent = NoveltyIndexed | ReferencesMeasured | UnitsRanked | TextMissing
LiveEvent = (
    Preparing
    | Planned
    | ComputingChanged
    | TrainingStateChanged
    | SaveFailed
    | SessionRefused
    | WorkerCrashed
    | AcceleratorMeasured
    | WeightsOpened
    | AnalysisEvent
)
RecordedUnion = (
    RunStarted
    | StepFinished
    | Validated
    | CheckpointSaved
    | SampleRecorded
    | WarningRaised
    | Finished
)
Event = RecordedUnion | LiveEvent | WritingEvent
"""Everything that ``Session.poll`` can return; a ``match`` over it ends in ``assert_never``."""
