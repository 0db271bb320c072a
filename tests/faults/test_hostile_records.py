"""B6, B10: what a run's files of JSON may hold, read by the real readers.

A bad file makes its run unreadable and stops nothing else; a bad line is left out; neither costs
more than a look.
"""

from __future__ import annotations

import json
import os
import random
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from model_fixtures import make_checkpoint, make_request, of_kind
from patience import wait_until

from corpus.files.json_reader import MAX_LINE_BYTES, JsonLines, read_object
from model.config import SamplingConfig
from model.events import Event, Finished, RecordedUnion, SessionRefused, StepFinished, Validated
from model.runs.folder import RunFolder
from model.runs.summary import list_runs, validation_curve
from model.session.live import LiveSession, SavedWeights
from model.session.watch import GrowingFile
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun
from tui.cli.main import run

DEEP = b"[" * 200_000
GOOD = [
    {"event": "step", "time": 1.0, "step": 1, "epoch": 1, "loss": 3.0, "learning_rate": 0.1,
     "gradient_norm": 0.5, "characters_per_second": 1e3},
    {"event": "validation", "time": 2.0, "step": 1, "epoch": 1, "nats_per_character": 2.5,
     "bits_per_character": 3.6, "best": True},
    {"event": "step", "time": 3.0, "step": 2, "epoch": 1, "loss": 2.0, "learning_rate": 0.1,
     "gradient_norm": 0.5, "characters_per_second": 1e3},
    {"event": "validation", "time": 4.0, "step": 2, "epoch": 1, "nats_per_character": 2.0,
     "bits_per_character": 2.9, "best": True},
    {"event": "finished", "time": 5.0, "reason": "completed", "step": 2,
     "best_nats_per_character": 2.0, "best_bits_per_character": 2.9, "seconds": 5.0,
     "characters_per_second": 1e3},
]  # fmt: skip
STEP, VALIDATION = GOOD[0], GOOD[1]


def line(record: object) -> bytes:
    return json.dumps(record).encode()


SENSELESS: dict[str, bytes] = {
    "nothing": b"",
    "spaces": b"   \t",
    "a carriage return": b"\r",
    "not JSON": b"step 1 loss 3.0",
    "half": line(STEP)[:40],
    "two objects": line(STEP) + line(STEP),
    "glued to a half": line(STEP)[:40] + line(STEP),
    "a list": b"[1, 2]",
    "a number": b"17",
    "null": b"null",
    "a string": b'"step"',
    "bytes that are no text": b"\xff\xfe\x00\x80",
    "zeros, as after a power cut": bytes(600),
    "UTF-16": json.dumps(STEP).encode("utf-16"),
    "deep lists": DEEP,
    "deep objects": b'{"a":' * 100_000,
    "deep in a field": b'{"event": "step", "loss": ' + DEEP + b"}",
    "endless": b'{"event": "step", "text": "' + b"x" * (MAX_LINE_BYTES + 1) + b'"}',
    "a number of 5,000 digits": b'{"event": "step", "step": ' + b"9" * 5000 + b"}",
    "a step of 400 digits": line({**STEP, "step": 10**400}),
    "a time of 400 digits": line({**VALIDATION, "time": 10**400}),
    "a loss of 400 digits": line({**VALIDATION, "nats_per_character": -(10**400)}),
    "a step that is text": line({**STEP, "step": "1"}),
    "a step that is true": line({**STEP, "step": True}),
    "a time that is a list": line({**STEP, "time": []}),
    "best that is a word": line({**VALIDATION, "best": "yes"}),
    "a reason of no kind": line({**GOOD[-1], "reason": "tired"}),
    "a field too many": line({**STEP, "colour": "red"}),
    "a field of Python's": line({**STEP, "self": 1, "__class__": 2}),
    "a field missing": line({"event": "step", "step": 1}),
    "an event of no kind": line({"event": "exploded", "step": 1}),
    "an event that is a list": line({"event": [], "step": 1}),
    "an event that is an object": line({"event": {"step": 1}}),
    "no event": line({"step": 1}),
    "an escape sequence": line({"event": "\x1b[2J", "text": "\x1b]0;x\x07"}),
    "half a surrogate": b'{"event": "\\ud800"}',
}


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    path.write_bytes(b"".join(each + b"\n" for each in lines))


def make_run(root: Path, name: str = "one") -> RunFolder:
    folder = RunFolder.create(root, name, fallback_name="")
    folder.write_description({"corpus": {"name": "poem"}})
    write_lines(folder.path / "metrics.jsonl", map(line, GOOD))
    folder.checkpoints.save(make_checkpoint(1, nats=2.5, best_nats=2.5))
    folder.checkpoints.save(make_checkpoint(2, nats=2.0, best_nats=2.0))
    folder.unlock()
    return folder


def opened(folder: RunFolder) -> list[Event]:
    """Returns what a session says that writes from the run's best weights."""
    path = folder.path / "step-00000002.safetensors"
    session = LiveSession(SavedWeights(path=path), sampling=SamplingConfig(), rate=1.0)
    session.start()
    events: list[Event] = []

    def has_opened() -> bool:
        events.extend(session._events.take_all())
        return not session._trainer.is_alive()

    wait_until(has_opened)
    events.extend(session._events.take_all())
    session.close()
    return [
        event for event in events if isinstance(event, StepFinished | Validated | SessionRefused)
    ]


def seen(folder: RunFolder) -> dict[str, Any]:
    """Returns what each reader makes of a run's record."""
    (summary,) = list_runs(folder.path.parent)
    growing = GrowingFile(folder.path / "metrics.jsonl")
    watched: list[RecordedUnion] = list(growing.events())
    assert list(growing.events()) == []
    return {
        "list": (summary.state, summary.problem, summary.steps, summary.best_nats),
        "curve": validation_curve(folder),
        "watched": watched,
        "opened": opened(folder),
        "last": folder.record.last_event(),
    }


@pytest.mark.parametrize("kind", SENSELESS)
def test_a_line_that_makes_no_sense_is_left_out_by_every_reader(kind: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    clean = seen(folder)
    assert len(clean["watched"]) == len(GOOD)
    assert len(clean["opened"]) == 4
    bad = SENSELESS[kind]
    mixed = [bad]
    for good in GOOD:
        mixed += [line(good), bad]
    write_lines(folder.path / "metrics.jsonl", mixed)
    assert seen(folder) == clean
    folder.lock()
    folder.record.forget_after(2)
    folder.unlock()
    kept = list(GrowingFile(folder.path / "metrics.jsonl").events())
    assert kept == clean["watched"], "nothing after a senseless line is forgotten with it"


def test_all_senseless_lines_together_leave_a_run_that_goes_on(tmp_path: Path) -> None:
    """Through the command line and a resumed training."""
    for _ in TrainingRun(make_request(tmp_path, epochs=1), TrainingControls()).events():
        pass
    folder = RunFolder(tmp_path / "runs" / "tiny")
    path = folder.path / "metrics.jsonl"
    good = path.read_bytes().splitlines()
    mixed = [*good, *SENSELESS.values()]
    random.Random(1).shuffle(mixed)
    write_lines(path, mixed)
    request = make_request(tmp_path, resume=True, overrides={"epochs": 2})
    events = list(TrainingRun(request, TrainingControls()).events())
    (finished,) = of_kind(events, Finished)
    assert finished.reason == "completed"
    assert list_runs(tmp_path / "runs")[0].state == "finished"


# --- whole files ----------------------------------------------------------------------------------


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


Spoil = Callable[[Path], object]
NOT_REGULAR: dict[str, Spoil] = {
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to("/etc/passwd"),
    "loop": lambda path: path.symlink_to(path.name),
    "folder": Path.mkdir,
}
NO_DESCRIPTION: dict[str, Spoil] = {
    **NOT_REGULAR,
    "deep": lambda path: path.write_bytes(DEEP),
    "deep objects": lambda path: path.write_bytes(b'{"corpus":' * 100_000),
    "empty": lambda path: path.write_bytes(b""),
    "a list": lambda path: path.write_bytes(b"[]"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x80"),
    "2 GiB": lambda path: sparse(path, 2 << 30),
}
CASES = [
    *((name, kind) for name in (".lock", "metrics.jsonl", "samples.jsonl") for kind in NOT_REGULAR),
    *(("run.json", kind) for kind in NO_DESCRIPTION),
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_bad_file_makes_its_run_unreadable_and_stops_nothing_else(
    name: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "runs"
    for run_name in ("a", "bad", "z"):
        make_run(root, run_name)
    path = root / "bad" / name
    path.unlink(missing_ok=True)
    NO_DESCRIPTION[kind](path)
    with at_most(8):
        assert run(["runs", "--json", "--checkpoints", str(root)]) == 0
    found = {
        record["run"]: record
        for record in map(json.loads, capsys.readouterr().out.split("\n")[:-1])
    }
    assert {key: found[key]["state"] for key in found} == {
        "a": "finished", "bad": "unreadable", "z": "finished",
    }  # fmt: skip
    assert name in found["bad"]["problem"]
    assert run(["runs", "--checkpoints", str(root)]) == 0
    assert f"unreadable: {name}" in capsys.readouterr().out
    for command in (["watch", "bad"], ["train", "--resume", "--run", "bad", "--offline"]):
        assert run([*command, "--checkpoints", str(root)]) in {4, 5}
        complaint = capsys.readouterr().err
        assert complaint.count("\n") == 1
        assert name in complaint
        assert "defect" not in complaint
    # What needs no record goes on.
    assert run(["generate", "--run", "bad", "--length", "5", "--checkpoints", str(root)]) == 0


def test_a_folder_that_cannot_be_looked_into_stops_nothing_else(tmp_path: Path) -> None:
    make_run(tmp_path, "good")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    states = {summary.name: summary.state for summary in list_runs(tmp_path)}
    assert states == {"good": "finished", "loop": "unreadable"}


def test_weights_are_opened_beside_a_record_that_cannot_be_read(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    (folder.path / "metrics.jsonl").unlink()
    os.mkfifo(folder.path / "metrics.jsonl")
    assert opened(folder) == []


# --- costs ----------------------------------------------------------------------------------------


@contextmanager
def at_most(megabytes: float) -> Iterator[None]:
    """Fails where Python's memory grows by more meanwhile."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * 1e6
    finally:
        tracemalloc.stop()


def test_a_line_of_300_megabytes_costs_a_few(tmp_path: Path) -> None:
    """B10: it cost 647 MB."""
    folder = make_run(tmp_path)
    path = folder.path / "metrics.jsonl"
    write_lines(path, map(line, GOOD[:2]))
    with path.open("r+b") as file:
        file.seek(300_000_000, os.SEEK_END)
        file.write(b"\n" + line(GOOD[3]) + b"\n")
    with at_most(6):
        assert len(folder.record.read_lines("metrics.jsonl")) == 3
        assert validation_curve(folder) == [(2.0, 2.5), (4.0, 2.0)]
        assert len(list(GrowingFile(path).events())) == 3
        assert isinstance(folder.record.last_event(), Validated)
        folder.record.forget_after(9)
    assert path.stat().st_size > 300_000_000


def test_only_the_end_of_a_long_record_is_read_for_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "metrics.jsonl"
    for size in (10, 70_000, 65_536, 65_535, 65_537):
        write_lines(path, [b" " * size, b'{"a": 1}', b'{"b": 2}'])
        assert list(next(JsonLines.tails(path))) == [{"a": 1}, {"b": 2}]
    write_lines(path, [b'{"a": 1}', *[b" " * 1000] * 3000])
    assert list(map(list, JsonLines.tails(path))) == [[], [], [{"a": 1}]]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
def test_lines_are_the_same_whatever_a_look_reads_at_once(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corpus.files.json_reader.CHUNK_BYTES", chunk)
    monkeypatch.setattr("corpus.files.json_reader.MAX_LINE_BYTES", 12)
    path = tmp_path / "lines"
    path.write_bytes(b'\n{"a": 1}\n{"a": 23456}\n{"a": 234567}\n\n{"b": 1}\n{"c": 1}')
    lines = JsonLines(path)
    assert list(lines) == [{"a": 1}, {"a": 23456}, {"b": 1}]
    assert lines.offset == path.read_bytes().rfind(b"\n") + 1
    with path.open("ab") as file:
        file.write(b"\n")
    assert list(lines) == [{"c": 1}]
    os.truncate(path, 10)
    assert list(lines) == []


def test_an_object_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    record = {"vocabulary": "".join(map(chr, range(0x4E00, 0x9FFF))) * 20}
    path.write_text(json.dumps(record), encoding="utf-8")
    assert read_object(path) == record
