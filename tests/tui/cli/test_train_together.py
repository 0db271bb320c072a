"""`train` as several processes of one training, as torchrun starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from model_fixtures import make_text, of_kind
from patience import PATIENCE, moments, wait_until
from ports import free_port

from model.commands import SetSampling
from model.config import SamplingConfig
from model.events import CharacterWritten, Event, StepFinished, TrainingStateChanged, WarningRaised
from model.runs.folder import RunFolder
from model.session.watch import WatchSession
from model.training.controls import TrainingControls
from tui.cli.main import run

TINY = (
    *("--hidden", "16", "--embedding", "8", "--batch", "8", "--sequence", "16"),
    *("--threads", "1", "--device", "cpu", "--precision", "fp32", "--seed", "1"),
)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(make_text(20_000), encoding="utf-8")
    return path


@contextmanager
def two_ranks(*arguments: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Starts `train` twice, as torchrun would; whatever happens, neither outlives the test."""
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "tui", "train", *arguments],
            env={**os.environ, **meeting, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        yield ranks
    finally:
        for rank in ranks:
            rank.kill()
            rank.communicate()


def ended(ranks: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Returns status, output and errors of each, once it has ended."""
    return [(rank.wait(PATIENCE), *rank.communicate()) for rank in ranks]


def wait_for_steps(ranks: list[subprocess.Popen[str]], folder: RunFolder) -> None:
    """Returns once the run's file has a step; fails at once where a rank ends before."""
    for _ in moments("a step"):
        assert all(rank.poll() is None for rank in ranks), [rank.communicate() for rank in ranks]
        if any(line["event"] == "step" for line in folder.record.read_lines("metrics.jsonl")):
            return


def test_a_signal_to_one_ends_both_with_one_checkpoint_and_a_watcher_sees_it_all(
    text: Path, tmp_path: Path
) -> None:
    place = ("--checkpoints", str(tmp_path / "runs"), "--run", "both")
    folder = RunFolder(tmp_path / "runs" / "both")
    with two_ranks(str(text), *TINY, "--minutes", "30", *place) as ranks:
        wait_for_steps(ranks, folder)
        watcher = WatchSession(folder, sampling=SamplingConfig(), rate=10_000.0, seed=1)
        seen: list[Event] = []

        def said(kind: type[Event], count: int) -> bool:
            seen.extend(watcher.poll())
            return len(of_kind(seen, kind)) >= count

        watcher.start()
        wait_until(lambda: said(StepFinished, 5) and said(CharacterWritten, 50))
        assert of_kind(seen, TrainingStateChanged)[0].state == "training"
        watcher.post(SetSampling(sampling=SamplingConfig(temperature=0.5)))
        ranks[1].send_signal(signal.SIGTERM)
        first, other = ended(ranks)
        wait_until(lambda: said(TrainingStateChanged, 2))
        assert of_kind(seen, TrainingStateChanged)[-1].state == "finished"
        assert watcher.close()
    assert first[0] == other[0] == 128 + signal.SIGTERM, (first[2], other[2])
    assert other[1:] == ("", "")
    last = folder.record.read_lines("metrics.jsonl")[-1]
    assert (last["event"], last["reason"]) == ("finished", "stopped")
    saved = folder.checkpoints.load_latest(pytest.fail)
    assert saved.metadata.step == last["step"]
    assert saved.metadata.progress["processes"] == 2
    assert saved.tensors["state.hidden"].shape == (1, 8, 16)
    assert_one_process_goes_on(tmp_path / "runs", last["step"])


def assert_one_process_goes_on(root: Path, step: int) -> None:
    """Resumes in this process for a few steps, which says that it is not bit for bit the same."""
    from model.presets import PRESETS
    from model.runs.request import RunRequest
    from model.training.training_run import TrainingRun

    preset = PRESETS["balanced"]
    controls = TrainingControls()
    request = RunRequest(
        corpus=None,
        preset="balanced",
        model=preset.model,
        training=preset.training,
        root=root,
        run="both",
        resume=True,
    )
    events: list[Event] = []
    for event in TrainingRun(request, controls).events():
        events.append(event)
        if len(of_kind(events, StepFinished)) == 3:
            controls.stop(hurry=True)
    assert of_kind(events, StepFinished)[0].step == step + 1
    warnings = [event.text for event in of_kind(events, WarningRaised)]
    assert any("2 processes and now by 1" in w and "not bit for bit" in w for w in warnings)


def test_under_torchrun_two_ranks_follow_the_curve_of_one_process_with_dropout_and_a_student(
    text: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    text.rename(folder / "a.txt")
    (folder / "b.md").write_text("\N{SNOWMAN}", encoding="utf-8")
    settings = (
        *(str(folder), "--include", "*.txt", *TINY),
        *("--epochs", "2", "--dropout", "0.2", "--weight-dropout", "0.1"),
        *("--teacher-share", "0.5"),
        *("--validation-fraction", "0.1", "--checkpoints", str(tmp_path / "runs")),
    )
    starter = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*starter, "--nproc-per-node", "2", "-m", "--", "tui", "train", *settings, "--run", "two"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run two: ") == done.stdout.count("completed after step") == 1
    assert run(["train", *settings, "--run", "one"]) == 0
    one, two = (RunFolder(tmp_path / "runs" / name) for name in ("one", "two"))
    assert figures_of(two, "finished", "step") == figures_of(one, "finished", "step")
    nats = "best_nats_per_character"
    assert figures_of(two, "finished", nats) == pytest.approx(
        figures_of(one, "finished", nats), abs=1e-3
    )
    losses_of_one, losses_of_two = (
        dict(
            zip(figures_of(folder, "step", "step"), figures_of(folder, "step", "loss"), strict=True)
        )
        for folder in (one, two)
    )
    common = losses_of_one.keys() & losses_of_two.keys()
    assert common, "files hold ten steps a second, also the first"
    for step in common:
        assert losses_of_two[step] == pytest.approx(losses_of_one[step], abs=1e-3)


def figures_of(folder: RunFolder, event: str, key: str) -> list[float]:
    """Returns a figure of each event of a kind that a run's file holds."""
    return [
        line[key] for line in folder.record.read_lines("metrics.jsonl") if line["event"] == event
    ]


def test_one_that_dies_ends_the_other_with_a_sentence_and_a_checkpoint(
    text: Path, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "both")
    place = ("--checkpoints", str(tmp_path), "--run", "both")
    with two_ranks(str(text), *TINY, "--minutes", "30", *place) as ranks:
        wait_for_steps(ranks, folder)
        ranks[1].kill()
        status, _, errors = (ranks[0].wait(PATIENCE), *ranks[0].communicate())
    assert status == 6
    (line,) = (line for line in errors.splitlines() if line.startswith("charlm-tui: "))
    assert "process 0 of 2: lost another process of this training" in line
    assert folder.checkpoints.load_latest(pytest.fail).metadata.step > 0


def test_what_the_first_refuses_ends_all_with_its_status(tmp_path: Path) -> None:
    with two_ranks(str(tmp_path / "missing.txt"), *TINY) as ranks:
        first, other = ended(ranks)
    assert (first[0], other) == (3, (3, "", ""))
    assert first[2].count("charlm-tui: ") == 1


def test_standard_input_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert run(["train", "-"]) == 2
    assert "several processes cannot read standard input" in capsys.readouterr().err


def test_the_app_is_never_one_of_several_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert run([]) == 2
    line = capsys.readouterr().err
    assert "-m tui train" in line
    assert "charlm-tui watch RUN" in line
