"""What the headless commands refuse: a status, an empty stdout, and one line on stderr."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_here import Outcome, assert_one_line, charlm_here
from patience import PATIENCE
from terminal_harness import LONG, PROGRAM, TINY, checkpoint_steps, make_environment
from trained_home import TEXT, Trained, charlm, objects

from model.runs.checkpoint_store import CheckpointStore
from tui.cli.main import run

pytestmark = pytest.mark.terminal

ABSENT_DEVICE = "mps" if sys.platform == "linux" else "cuda"


@pytest.mark.parametrize("command", [["train"], []], ids=["train", "app"])
def test_a_text_that_is_not_there_is_status_3(home: Path, command: list[str]) -> None:
    assert_one_line(charlm_here(home, *command, "nosuchfile"), 3, "nosuchfile")
    assert not (home / "runs").exists()


def test_an_empty_text_is_status_3(home: Path) -> None:
    (home / "empty.txt").touch()
    assert_one_line(charlm_here(home, "train", "empty.txt"), 3, "empty.txt", "is empty")


def test_an_empty_name_is_status_3(home: Path) -> None:
    assert_one_line(charlm_here(home, "train", ""), 3, "the name is empty")


def test_a_folder_without_text_is_status_3(home: Path) -> None:
    (home / "folder").mkdir()
    (home / "folder" / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    refused = charlm_here(home, "train", "folder", "--json")
    assert_one_line(refused, 3, "folder", "no text file")
    assert not (home / "runs").exists()


def test_a_binary_file_is_status_3(home: Path) -> None:
    (home / "binary").write_bytes(bytes(range(256)) * 40)
    refused = charlm_here(home, "train", "binary", "--json")
    assert_one_line(refused, 3, "binary")
    assert not (home / "runs").exists()


def test_a_download_that_is_forbidden_is_status_6_and_offers_another_text(home: Path) -> None:
    assert_one_line(
        charlm_here(home, "train", "nietzsche", "--offline"), 6, "--offline", "python-prose"
    )


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("train --hidden 0", "--hidden"),
        ("train --hidden many", "--hidden"),
        ("train --layers 99", "--layers"),
        ("train --embedding -1", "--embedding"),
        ("train --dropout 1", "--dropout"),
        ("train --batch 0", "--batch"),
        ("train --sequence 0", "--sequence"),
        ("train --learning-rate nan", "--learning-rate"),
        ("train --epochs 0", "--epochs"),
        ("train --minutes 0", "--minutes"),
        ("train --validation-fraction 0.95", "--validation-fraction"),
        ("train --threads -1", "--threads"),
        ("train --device toaster", "--device"),
        ("train --precision fp8", "--precision"),
        ("train --seed -1", "--seed: -1 is out of range; give a number from 0 to 9,223,372,036,"),
        ("train words.txt --checkpoints=", "the path is empty"),
        ("train --checkpoint-every 0", "--checkpoint-every"),
        ("train --json --encoding klingon", "klingon"),
        ("train words.txt more.txt", "more.txt"),
        ("--temperature 9", "--temperature"),
        ("--rate 0", "--rate"),
        ("--fps 0", "--fps"),
        ("generate --temperature -1", "--temperature"),
        ("generate --top-p 0", "--top-p"),
        ("generate --min-p 2", "--min-p"),
        ("generate --typical 0", "--typical"),
        ("generate --top-k -1", "--top-k"),
        ("generate --length -1", "--length"),
        ("generate --streams 0", "--streams"),
        ("generate --device quantum", "--device"),
        (f"generate --device {ABSENT_DEVICE}", ABSENT_DEVICE),
        ("generate --run a --checkpoint b", "--checkpoint"),
        ("generate --run ../a", "--run"),
        ("runs --nosuch", "--nosuch"),
        ("train --presett quick", "--preset"),
        ("train --preset quik", "quick"),
    ],
)
def test_a_bad_option_is_status_2_and_named(trained: Trained, words: str, named: str) -> None:
    assert_one_line(charlm_here(trained.home, *words.split()), 2, named)


@pytest.mark.parametrize("command", ["generate", "evaluate", "train --json --resume"])
def test_a_run_that_is_not_there_is_status_4(trained: Trained, command: str) -> None:
    refused = charlm_here(trained.home, *command.split(), "--run", "nosuch")
    assert_one_line(refused, 4, "nosuch", "charlm-tui runs")


def test_no_run_at_all_is_status_4(home: Path) -> None:
    assert_one_line(charlm_here(home, "generate"), 4, "charlm-tui train")


def test_no_runs_are_an_empty_list(home: Path) -> None:
    assert charlm(home, "runs", "--json") == Outcome(status=0, output="", complaint="")


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 0x10
    path.write_bytes(data)


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(copied: Path) -> None:
    paths = sorted((copied / "runs" / "tiny").glob("step-*.safetensors"))
    assert len(paths) >= 2
    best = next(
        item["path"]
        for item in objects(charlm_here(copied, "runs", "--json").output)[0]["checkpoints"]
        if item["best"]
    )
    damage(Path(best))
    done = charlm_here(copied, "generate", "--length", "50")
    assert done.status == 0
    assert len(done.output) == 50 + len("\n")
    assert Path(best).name in done.complaint.splitlines()[0]
    assert done.complaint.count("charlm-tui: ") == 1


def test_a_run_with_nothing_but_damage_is_status_4(copied: Path) -> None:
    for path in (copied / "runs" / "tiny").glob("step-*.safetensors"):
        damage(path)
    done = charlm_here(copied, "generate")
    assert_one_line(done, 4, "no checkpoint that can be read")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", None])
def test_a_file_that_is_no_checkpoint_is_status_4(copied: Path, content: bytes | None) -> None:
    path = next((copied / "runs" / "tiny").glob("step-*.safetensors"))
    if content is None:
        damage(path)
    else:
        path.write_bytes(content)
    assert_one_line(charlm_here(copied, "generate", "--checkpoint", path), 4, path.name)


def test_a_checkpoint_that_is_not_there_is_status_4(trained: Trained) -> None:
    assert_one_line(charlm_here(trained.home, "generate", "--checkpoint", "nosuch"), 4, "nosuch")


def test_a_file_instead_of_the_folder_of_runs_is_status_5(home: Path) -> None:
    refused = charlm_here(home, "train", "words.txt", "--json", *TINY, "--checkpoints", "words.txt")
    assert_one_line(refused, 5, "words.txt", "--checkpoints")
    assert (home / "words.txt").read_text(encoding="utf-8") == TEXT


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_status_5(home: Path) -> None:
    (home / "locked").mkdir(mode=0o500)
    refused = charlm_here(home, "train", "words.txt", "--json", *TINY, "--checkpoints", "locked")
    assert_one_line(refused, 5, "locked", "--checkpoints")


def charlm_with_full_output(home: Path, *arguments: str) -> Outcome:
    """Runs a command whose stdout is on a full disk."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=make_environment(home),
            cwd=home,
            timeout=PATIENCE,
            check=False,
        )
    return Outcome(status=done.returncode, output="", complaint=done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["generate"], ["generate", "--json"], ["corpora"]], ids=str)
def test_a_full_disk_below_the_output_is_status_5(trained: Trained, arguments: list[str]) -> None:
    assert_one_line(charlm_with_full_output(trained.home, *arguments), 5, "No space")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_train_saves_although_its_output_is_full(home: Path) -> None:
    refused = charlm_with_full_output(home, "train", "words.txt", "--json", *LONG)
    assert_one_line(refused, 5, "No space")
    assert checkpoint_steps(home / "runs")


def test_a_last_checkpoint_that_cannot_be_saved_is_status_5_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run's end is not said to be reached: its last steps are lost."""
    save, steps = CheckpointStore.save, []

    def full_after_the_first(store: CheckpointStore, checkpoint: Any) -> Path:
        steps.append(checkpoint.metadata.step)
        if len(steps) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return save(store, checkpoint)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CheckpointStore, "save", full_after_the_first)
    Path("t.txt").write_text(TEXT, encoding="utf-8")
    asked = ["--run=full", "--checkpoints=runs", "--hidden=8", "--epochs=3", "--json"]
    assert run(["train", "t.txt", *asked, "--batch=8", "--sequence=16", "--preset=quick"]) == 5
    output, complaint = capsys.readouterr()
    assert all(objects(output))
    assert complaint == (
        "charlm-tui: runs/full: checkpoint not saved (No space left on device); the steps after "
        "the last checkpoint are lost\n"
    )
    assert run(["runs", "--checkpoints", "runs", "--json"]) == 0
    (listed,) = objects(capsys.readouterr().out)
    assert (listed["state"], listed["steps"]) == ("interrupted", steps[0])
