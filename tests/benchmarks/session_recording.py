"""What a session said, when, and which keys were pressed: a file of JSON lines, one a frame.

Holds what the moving picture needs and no more. Of the steps within a frame the last is kept.
Candidates of a character and the index of the corpus are left out. So are paths.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from model import events as ev
from model.config import Lane, SamplingConfig
from tui.view.state import MachineUse

FRAME_SECONDS: Final = 0.125
_BY_NAME: Final[tuple[type[Any], ...]] = (
    ev.ComputingChanged,
    ev.Planned,
    ev.Preparing,
    ev.RaceStarted,
    ev.RaceStopped,
    ev.ReferencesMeasured,
    ev.SamplingApplied,
    ev.TrainingStateChanged,
    ev.WeightsSwapped,
    ev.WritingRestarted,
)
"""Events that are kept under the name of their class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened while a session was recorded."""

    seconds: float
    """Since the session began."""
    events: Sequence[ev.Event] = ()
    key: str | None = None
    """Textual's name of a key that was pressed."""
    caption: str | None = None
    """Words below the picture from here on."""
    use: MachineUse | None = None
    """Use of the machine, where it was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What happened within one frame; keys come before events."""

    keys: tuple[str, ...] = ()
    caption: str | None = None
    use: MachineUse | None = None
    events: tuple[ev.Event, ...] = ()


def frames_of(moments: Iterable[Moment], count: int) -> list[Frame]:
    """Returns the first ``count`` frames; later moments are left out."""
    frames = [Frame() for _ in range(count)]
    for moment in moments:
        number = int(moment.seconds / FRAME_SECONDS)
        if number < count:
            frame = frames[number]
            frames[number] = Frame(
                keys=(*frame.keys, *([] if moment.key is None else [moment.key])),
                caption=moment.caption or frame.caption,
                use=moment.use or frame.use,
                events=(*frame.events, *moment.events),
            )
    return [replace(frame, events=tuple(_kept(frame.events))) for frame in frames]


def write_recording(path: Path, about: dict[str, Any], frames: Sequence[Frame]) -> None:
    """Writes a recording; its first line says what it is."""
    lines = [about, *map(_record, frames)]
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")


def read_recording(path: Path) -> tuple[dict[str, Any], list[Frame]]:
    """Returns what a file says of itself, and its frames."""
    about, *records = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return about, [_frame(record) for record in records]


def _kept(events: Iterable[ev.Event]) -> Iterator[ev.Event]:
    """Yields the events that a file holds, of the steps only the last."""
    listed = list(events)
    steps = [event for event in listed if isinstance(event, ev.StepFinished)]
    for event in listed:
        if isinstance(event, ev.StepFinished):
            if event is steps[-1]:
                yield event
        elif isinstance(event, ev.CheckpointSaved):
            yield replace(event, path="")
        elif isinstance(
            event, (ev.RunStarted, ev.Validated, ev.CharacterWritten, ev.LanesWritten, *_BY_NAME)
        ):
            yield event


# --- one line ---------------------------------------------------------------------------------


def _record(frame: Frame) -> dict[str, Any]:
    record: dict[str, Any] = {}
    if frame.keys:
        record["keys"] = frame.keys
    if frame.caption is not None:
        record["caption"] = frame.caption
    if frame.use is not None:
        record["use"] = [frame.use.cores, frame.use.bytes]
    said: list[dict[str, Any]] = []
    for event in frame.events:
        _say(said, event)
    return {**record, "said": said}


def _say(said: list[dict[str, Any]], event: ev.Event) -> None:
    """Adds an event to a frame's list; characters in a row share one entry."""
    last = said[-1] if said else {}
    if isinstance(event, ev.CharacterWritten):
        if "text" not in last:
            said.append(last := {"text": "", "probabilities": []})
        last["text"] += event.character
        last["probabilities"].append(float(f"{event.probability:.2g}"))
    elif isinstance(event, ev.LanesWritten):
        if "lanes" not in last or "name" in last:
            said.append(last := {"lanes": []})
        last["lanes"].append("".join(event.characters))
    elif isinstance(event, _BY_NAME):
        said.append({"name": type(event).__name__, **asdict(event)})
    else:
        assert isinstance(event, ev.RecordedEvent)
        said.append(json.loads(ev.to_json_line(event)))


def _frame(record: dict[str, Any]) -> Frame:
    cores, used = record.get("use", (None, None))
    return Frame(
        keys=tuple(record.get("keys", ())),
        caption=record.get("caption"),
        use=MachineUse(cores=cores, bytes=used) if "use" in record else None,
        events=tuple(event for entry in record["said"] for event in _events(entry)),
    )


def _events(entry: dict[str, Any]) -> Iterator[ev.Event]:
    """Yields the events of one entry of a frame's list."""
    if "text" in entry:
        for character, probability in zip(entry["text"], entry["probabilities"], strict=True):
            yield ev.CharacterWritten(
                character=character, probability=probability, entropy=0.0, candidates=()
            )
    elif "lanes" in entry and "name" not in entry:
        for lane in entry["lanes"]:
            yield ev.LanesWritten(characters=tuple(lane))
    elif "event" in entry:
        event = ev.recorded_event(entry)
        assert event is not None
        yield event
    else:
        kinds = {kind.__name__: kind for kind in _BY_NAME}
        values = {name: _value(name, value) for name, value in entry.items() if name != "name"}
        yield kinds[entry["name"]](**values)


def _value(name: str, value: Any) -> Any:
    """Returns a field's value as it was before JSON."""
    if name == "sampling":
        return SamplingConfig(**value)
    if name == "lanes":
        return tuple(ev.RaceLane(**{**lane, "lane": Lane(**lane["lane"])}) for lane in value)
    if isinstance(value, list):
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)
    return value
