"""Events that are stored in a run's files, one JSON object a line; reading checks their types.

The field names are a contract for users of ``metrics.jsonl`` and ``train --json``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Literal, get_args

from corpus.files.json_text import json_text

TrainingState = Literal["preparing", "training", "paused", "validating", "finished"]
FinishReason = Literal["completed", "stopped", "diverged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """Base class of the events in ``metrics.jsonl``; ``name`` is the value of the key ``event``."""

    name: ClassVar[str]

    time: float
    """Seconds since the run began, without pauses, including its earlier sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(RecordedEvent):
    """A session of a run started; a resumed run has several sessions."""

    name: ClassVar[str] = "run_started"

    run: str
    corpus: str
    characters: int
    vocabulary: int
    """Number of symbols in the vocabulary."""
    parameters: int
    preset: str
    device: str
    precision: str
    threads: int
    seed: int
    new_text: bool = False
    """Whether earlier validation losses are not comparable with later ones. A line of a file has
    this field only if it is true."""
    plan: str = ""
    """The plan in words, if the program chose the network. A line of a file has this field only if
    it did."""
    network: str = ""
    """Kind and size of the network, such as ``GRU(296)``. Lines of earlier versions lack it."""


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
    """Global L2 norm of the gradient before clipping."""
    characters_per_second: float
    """Throughput smoothed over the last steps, without validation and saving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated(RecordedEvent):
    """The held-out text was scored."""

    name: ClassVar[str] = "validation"

    step: int
    epoch: int
    nats_per_character: float
    bits_per_character: float
    best: bool
    """Whether this loss is the lowest of the run so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved(RecordedEvent):
    """A checkpoint was saved completely to disk."""

    name: ClassVar[str] = "checkpoint"

    step: int
    path: str
    best: bool
    """Whether the checkpoint holds the weights with the lowest validation loss so far."""


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


STOPPED_FALLING: Final = "the validation loss has stopped falling"
"""Beginning of the warning that more training does not help."""
STUDENT_BEGINS: Final = (
    "the student begins, a new network that learns half from the first one's predictions; the "
    "better of the two writes"
)
"""The warning that the network that is trained is another one from here on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningRaised(RecordedEvent):
    """A warning for the user; the run continues."""

    name: ClassVar[str] = "warning"

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(RecordedEvent):
    """Training ended. The run's last checkpoint is on disk, unless saving was declined."""

    name: ClassVar[str] = "finished"

    reason: FinishReason
    step: int
    best_nats_per_character: float | None
    best_bits_per_character: float | None
    seconds: float
    """Training time of the whole run in seconds, without pauses."""
    characters_per_second: float
    """Mean throughput over the steps of this session."""


_ONLY_IF_TRUE = frozenset({"new_text", "plan", "network"})
"""Fields that a line of a file has only if they are true, or not empty."""


def to_json_line(event: RecordedEvent) -> str:
    """Returns the event as one line of JSON without its newline.

    A float that JSON cannot represent (infinity, NaN) becomes ``null``.
    """
    record: dict[str, Any] = {"event": event.name}
    for field in fields(event):
        value = getattr(event, field.name)
        if field.name in _ONLY_IF_TRUE and not value:
            continue
        if isinstance(value, float):
            value = float(f"{value:.7g}") if math.isfinite(value) else None
        record[field.name] = value
    return json_text(record)


def recorded_event(record: Mapping[str, Any]) -> RecordedUnion | None:
    """Returns the event that a line of a run's file holds; None for an invalid line.

    A ``null`` in a field that requires a number becomes NaN.
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
    """Returns the lines of a run's file without validations on an earlier text of that run."""
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
    """Returns whether a value from a file has a field's type; an integer counts as a float."""
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
        return False  # larger than any valid count, and perhaps too large for a float
    return isinstance(value, allowed[annotation])


def event_from_record(
    record: Mapping[str, Any], *, last_step: int
) -> StepFinished | Validated | SampleRecorded | None:
    """Returns the step, validation or sample that a line of a run's file holds.

    Returns None for any other event, for an invalid line, and for an event after ``last_step``,
    because a resumed run repeats those steps.
    """
    event = recorded_event(record)
    if not isinstance(event, StepFinished | Validated | SampleRecorded):
        return None
    return event if event.step <= last_step else None


RecordedUnion = (
    RunStarted
    | StepFinished
    | Validated
    | CheckpointSaved
    | SampleRecorded
    | WarningRaised
    | Finished
)
