"""The lines of `metrics.jsonl` and `train --json`: a contract with whoever reads them."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.events import (
    CheckpointSaved,
    Finished,
    RecordedEvent,
    RunStarted,
    SampleRecorded,
    StepFinished,
    Validated,
    WarningRaised,
    event_from_record,
    to_json_line,
)

STEP = StepFinished(
    time=1.5,
    step=7,
    epoch=1,
    loss=2.25,
    learning_rate=0.001,
    gradient_norm=0.5,
    characters_per_second=1000.0,
)
VALIDATION = Validated(
    time=2.0, step=8, epoch=1, nats_per_character=1.5, bits_per_character=2.164, best=True
)
EVENTS = [
    RunStarted(
        time=0.0,
        run="r",
        corpus="c",
        characters=9,
        vocabulary=5,
        parameters=100,
        preset="quick",
        device="cpu",
        precision="fp32",
        threads=1,
        seed=0,
    ),
    STEP,
    VALIDATION,
    CheckpointSaved(time=2.0, step=8, path="p", best=True),
    SampleRecorded(time=2.0, step=8, epoch=1, temperature=0.5, seed=0, prompt="é", text="\n\x1b"),
    WarningRaised(time=2.0, text="careful"),
    Finished(
        time=3.0,
        reason="completed",
        step=8,
        best_nats_per_character=None,
        best_bits_per_character=None,
        seconds=3.0,
        characters_per_second=900.0,
    ),
]
KEYS = {
    "run_started": "run corpus characters vocabulary parameters preset device precision threads "
    "seed",
    "step": "step epoch loss learning_rate gradient_norm characters_per_second",
    "validation": "step epoch nats_per_character bits_per_character best",
    "checkpoint": "step path best",
    "sample": "step epoch temperature seed prompt text",
    "warning": "text",
    "finished": "reason step best_nats_per_character best_bits_per_character seconds "
    "characters_per_second",
}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_each_event_has_the_keys_of_the_contract(event: RecordedEvent) -> None:
    record = json.loads(to_json_line(event))
    assert list(record) == ["event", "time", *KEYS[record["event"]].split()]


def test_each_recorded_event_is_in_the_table_above() -> None:
    assert [event.name for event in EVENTS] == list(KEYS)
    assert {kind.name for kind in RecordedEvent.__subclasses__()} == set(KEYS)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_lacks_becomes_null(bad: float) -> None:
    line = to_json_line(WarningRaised(time=bad, text=""))
    assert json.loads(line) == {"event": "warning", "time": None, "text": ""}
    assert "NaN" not in line
    assert "Infinity" not in line


@given(text=st.text(), time=st.floats(0, 1e9))
def test_an_event_is_one_line_of_json(text: str, time: float) -> None:
    line = to_json_line(WarningRaised(time=time, text=text))
    assert "\n" not in line
    assert "\r" not in line
    record = json.loads(line)
    assert record["text"] == text
    assert record["time"] == pytest.approx(time, rel=1e-6, abs=1e-300)


@pytest.mark.parametrize("event", [STEP, VALIDATION], ids=["step", "validation"])
def test_the_curve_so_far_comes_back(event: StepFinished | Validated) -> None:
    record = json.loads(to_json_line(event))
    assert event_from_record(record, last_step=8) == event
    assert event_from_record(record, last_step=6) is None


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"event": "step"},
        {"event": "step", "step": "7"},
        {"event": "step", "step": 1, "unknown": 2},
        {"event": ["step"], "step": 1},
        {"event": "sample", "step": 1},
    ],
)
def test_lines_that_make_no_sense_give_no_event(record: dict[str, object]) -> None:
    assert event_from_record(record, last_step=8) is None
