"""`charlm-tui train` as scripts rely on it: events, files of the run, signals, and resuming."""

from __future__ import annotations

import json
import math
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from command_here import assert_one_line, charlm_here
from patience import PATIENCE, moments
from terminal_harness import LONG, TINY, checkpoint_steps, make_words
from trained_home import PLAN, TEXT, Trained, charlm, objects, training

pytestmark = pytest.mark.terminal

EVENT_KEYS = {
    "run_started": (
        "run corpus characters vocabulary parameters preset device precision threads seed plan "
        "network"
    ),
    "step": "step epoch loss learning_rate gradient_norm characters_per_second",
    "validation": "step epoch nats_per_character bits_per_character best",
    "checkpoint": "step path best",
    "sample": "step epoch temperature seed prompt text",
    "warning": "text",
    "finished": (
        "reason step best_nats_per_character best_bits_per_character seconds characters_per_second"
    ),
}
"""The contract: the keys of each event beside `event` and `time`."""


def test_train_prints_the_events_of_the_contract_and_nothing_else(trained: Trained) -> None:
    assert trained.complaint == ""
    for event in trained.events:
        keys = {"event", "time", *EVENT_KEYS[event["event"]].split()}
        assert set(event) == keys, event["event"]
    kinds = [event["event"] for event in trained.events]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "finished"
    assert {"step", "validation", "checkpoint", "sample"} <= set(kinds)
    times = [event["time"] for event in trained.events]
    assert times == sorted(times)


def test_train_keeps_in_the_run_what_it_printed(trained: Trained) -> None:
    lines = (trained.run / "metrics.jsonl").read_text(encoding="utf-8")
    assert objects(lines) == trained.events
    samples = objects((trained.run / "samples.jsonl").read_text(encoding="utf-8"))
    assert samples == [event for event in trained.events if event["event"] == "sample"]


def test_train_ends_with_its_last_step_saved(trained: Trained) -> None:
    started, finished = trained.events[0], trained.events[-1]
    assert (started["run"], started["corpus"]) == ("tiny", "words.txt")
    assert started["characters"] == len(TEXT)
    assert started["vocabulary"] == len(set(TEXT))
    assert finished["reason"] == "completed"
    assert finished["step"] == checkpoint_steps(trained.home / "runs")[-1]
    best = min(e["nats_per_character"] for e in trained.events if e["event"] == "validation")
    assert finished["best_nats_per_character"] == best
    assert finished["best_bits_per_character"] == pytest.approx(best / math.log(2), rel=1e-5)
    assert best < 2.5, "it learned next to nothing"


def test_train_prints_plain_lines_to_a_pipe(home: Path) -> None:
    done = charlm(home, "train", "-", *TINY, "--epochs", "1", standard_input=TEXT)
    assert (done.status, done.complaint) == (0, "")
    assert "\x1b" not in done.output
    assert "\r" not in done.output
    assert "completed after step" in done.output.splitlines()[-1]
    assert f"{len(TEXT):,} characters" in done.output
    assert len(checkpoint_steps(home / "runs")) == 1


def test_a_run_that_exists_is_not_trained_over(trained: Trained) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in trained.run.iterdir()}
    refused = charlm_here(trained.home, "train", "words.txt", "--json", *PLAN)
    assert_one_line(refused, 2, "tiny", "--resume")
    assert {path.name: path.stat().st_mtime_ns for path in trained.run.iterdir()} == before


def test_a_closed_pipe_ends_training_quietly_with_a_checkpoint(home: Path) -> None:
    with training(home, *LONG) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(3):
            json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.wait(PATIENCE) == 128 + signal.SIGPIPE
        assert process.stderr.read() == ""
    assert checkpoint_steps(home / "runs")


def test_a_run_interrupted_and_resumed_ends_as_one_that_was_not(
    trained: Trained, home: Path
) -> None:
    for _ in moments("a run that hears its signal before its end"):
        shutil.rmtree(home / "runs", ignore_errors=True)
        status, stopped = interrupted(home)
        if status != 0 and stopped["reason"] == "stopped":
            break
    assert status == 128 + signal.SIGTERM
    assert stopped["step"] < trained.last("finished")["step"]

    resumed = charlm(home, "train", "--resume", "--run", "tiny", "--json", "--threads", "1")
    assert resumed.status == 0, resumed.complaint
    events = objects(resumed.output)
    assert events[-1]["step"] == trained.last("finished")["step"]
    losses = [event for event in events if event["event"] == "validation"]
    assert losses[-1]["step"] == trained.last("validation")["step"]
    assert losses[-1]["nats_per_character"] == trained.last("validation")["nats_per_character"]
    samples = [event["text"] for event in events if event["event"] == "sample"]
    assert samples[-1] == trained.last("sample")["text"]


def interrupted(home: Path) -> tuple[int, dict[str, Any]]:
    """Trains, sends a signal at the first validation; returns the status and what was said last."""
    with training(home, *PLAN) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "validation":
                process.send_signal(signal.SIGTERM)
                break
        rest, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, objects(rest)[-1]


def test_patterns_choose_the_files_of_a_folder_and_are_remembered(home: Path) -> None:
    folder = home / "folder"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(make_words(3000))
    (folder / "c.md").write_text("# \N{SNOWMAN}\n" * 2000)
    first = charlm(home, "train", folder, "--include", "*.txt", *TINY, "--epochs", "1", "--json")
    assert first.status == 0, first.complaint
    started = objects(first.output)[0]
    assert started["characters"] == 6003
    again = charlm(home, "train", "--resume", "--epochs", "2", "--json")
    assert again.status == 0, again.complaint
    assert objects(again.output)[0]["characters"] == 6003
    assert "not the one" not in again.output
    alone = charlm(home, "train", folder / "a.txt", "--include", "*.txt", *TINY)
    assert alone.status == 2
    assert "--include:" in alone.complaint
