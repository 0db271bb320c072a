"""A disk that is full at any moment of a save, and one that may not be written at all."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import disk_full
import forked
import pytest
from command_server import NOBODY, CommandServer, Done, Request
from terminal_harness import TINY, make_environment, make_words

OFFSETS = 40

ROOM = "1m"
"""Of the small file system: enough for the best, the last two and the next."""


def tried(command: list[str], figure: Callable[[str], None], words: str) -> dict[str, Any]:
    done = subprocess.run(
        command,
        env=forked.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    figure(
        f"full disk ({words}): the previous checkpoints intact {found['intact']} of {OFFSETS}, "
        f"said {found['failed']}, training went on {found['went_on']}, saved once there was room "
        f"{found['saved_again']}, {found['temporary_left']} temporary files left"
    )
    for what in ("failed", "intact", "went_on", "saved_again"):
        assert found[what] == OFFSETS, what
    assert found["temporary_left"] == 0
    assert found["lines"] > 0
    return found


def script(folder: Path, way: str) -> list[str]:
    return [sys.executable, str(disk_full.__file__), str(folder), str(OFFSETS), way]


def test_a_limit_at_forty_offsets_leaves_the_previous_checkpoint(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    found = tried(script(tmp_path, "limit"), figure, "RLIMIT_FSIZE")
    assert found["causes"] == {"File too large": OFFSETS}


def can_mount() -> bool:
    """Whether a file system can be mounted that ends with its process."""
    if os.getuid() != 0 or shutil.which("unshare") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        mount = f"mount -t tmpfs -o size=64k tmpfs {shlex.quote(folder)}"
        command = ["unshare", "--mount", "sh", "-c", mount]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_disk_that_is_full_at_forty_offsets_leaves_the_previous_checkpoint(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    if not can_mount():
        pytest.skip("a small file system can be mounted by root alone, and on Linux")
    mount = f"mount -t tmpfs -o size={ROOM} tmpfs {shlex.quote(str(tmp_path))}"
    words = shlex.join(script(tmp_path, "full"))
    command = ["unshare", "--mount", "sh", "-c", f"{mount} && exec {words}"]
    found = tried(command, figure, f"tmpfs of {ROOM}")
    assert found["causes"] == {"No space left on device": OFFSETS}


# --- what may not be written ----------------------------------------------------------------------


class Nobody:
    """Runs commands without root's rights, which no permission holds back."""

    def __init__(self, server: CommandServer, folder: Path) -> None:
        self.folder = folder
        self._server = server

    def __call__(self, *arguments: str) -> Done:
        environment = make_environment(self.folder, CHARLM_CACHE=str(self.folder / "cache"))
        request = Request(
            arguments=arguments,
            folder=str(self.folder),
            environment=environment,
            as_nobody=True,
        )
        return self._server.run(request)


@pytest.fixture(scope="module")
def nobody() -> Iterator[Nobody]:
    """A user without rights, in a folder that it may read, with a text and a cache of its own."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user; `test_refusals` has this for users")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "words.txt").write_text(make_words(8000), encoding="utf-8")
        for mine in ("cache", "home"):
            (folder / mine).mkdir()
            os.chown(folder / mine, NOBODY, NOBODY)
        with CommandServer() as server:
            yield Nobody(server, folder)


def assert_refused(done: Done, *words: str) -> None:
    assert done.status == 5, done.complaint
    assert done.output == ""
    assert done.complaint.count("\n") == 1
    assert done.complaint.startswith("charlm-tui: ")
    for word in words:
        assert word in done.complaint


TRAIN = ("train", "words.txt", "--json", *TINY, "--epochs", "1", "--run", "tiny")


def test_a_folder_that_may_not_be_written_is_refused_before_training(nobody: Nobody) -> None:
    done = nobody(*TRAIN, "--checkpoints", "elsewhere")
    assert_refused(done, "elsewhere", "Permission denied", "--checkpoints")
    (nobody.folder / "locked").mkdir(mode=0o555)
    done = nobody(*TRAIN, "--checkpoints", "locked")
    assert_refused(done, "locked", "Permission denied", "--checkpoints")
    assert list((nobody.folder / "locked").iterdir()) == []


def test_a_run_that_may_not_be_written_any_more_is_refused_before_training(nobody: Nobody) -> None:
    runs = nobody.folder / "home"
    done = nobody(*TRAIN, "--checkpoints", "home")
    assert done.status == 0, done.complaint
    run = runs / "tiny"
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    run.chmod(0o555)
    more = (
        "train",
        "--resume",
        "--run",
        "tiny",
        "--json",
        "--epochs",
        "2",
        "--checkpoints",
        "home",
    )
    assert_refused(nobody(*more), "tiny", "Permission denied")
    (run / ".lock").chmod(0o444)
    assert_refused(nobody(*more), "tiny", "Permission denied")
    after = {path.name: path.read_bytes() for path in run.iterdir()}
    assert {**after, ".lock": b""} == {**before, ".lock": b""}
    (run / ".lock").chmod(0o644)
    run.chmod(0o755)
    assert nobody(*more).status == 0
