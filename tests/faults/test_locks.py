"""B9: the lock of a run, raced for by real processes, looked at meanwhile, and held by others."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import forked
import lock_races
import pytest
from model_fixtures import make_checkpoint
from patience import PATIENCE

from model.errors import RunFolderError
from model.runs import lock as run_lock
from model.runs.folder import RunFolder
from model.runs.lock import LockHolder, RunLock


def raced(root: Path, way: str, processes: int, rounds: int) -> Counter[str]:
    done = subprocess.run(
        [sys.executable, str(lock_races.__file__), str(root), way, str(processes), str(rounds)],
        env=forked.environment(), capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    counts: Counter[str] = Counter(json.loads(done.stdout.splitlines()[-1]))
    assert counts["failed"] == 0, done.stderr
    assert not [words for words in counts if words.startswith("said: ")]
    return counts


def saved_run(root: Path) -> RunFolder:
    folder = RunFolder.create(root, lock_races.NAME, fallback_name="")
    folder.write_description({})
    folder.checkpoints.save(make_checkpoint(1))
    folder.unlock()
    return folder


def winners(counts: Counter[str], rounds: int) -> list[int]:
    return [counts[f"won {number}"] for number in range(rounds)]


# --- races ----------------------------------------------------------------------------------------


def test_of_processes_that_begin_a_run_at_once_one_wins_each_round(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    processes, rounds = 5, 60
    counts = raced(tmp_path, "start_together", processes, rounds)
    assert winners(counts, rounds) == [1] * rounds
    assert counts["refused"] == (processes - 1) * rounds
    assert counts["lost"] == counts["not deleted"] == 0
    figure(f"{processes} processes begin one run: {rounds} rounds, one winner in each")


def test_of_processes_that_resume_a_run_at_once_one_wins_each_round(tmp_path: Path) -> None:
    processes, rounds = 5, 60
    saved_run(tmp_path)
    counts = raced(tmp_path, "resume_together", processes, rounds)
    assert winners(counts, rounds) == [1] * rounds
    assert counts["refused"] == (processes - 1) * rounds


def test_a_run_that_is_given_up_takes_no_other_s_files_along(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    counts = raced(tmp_path, "give_up", 3, 100)
    assert counts["begun"] == 3 * 100
    assert counts["lost"] == 0
    assert list(tmp_path.iterdir()) == []
    figure(f"runs begun and given up by 3 processes: {counts['begun']}, files lost: 0")


def test_a_look_refuses_no_writer(tmp_path: Path, figure: Callable[[str], None]) -> None:
    saved_run(tmp_path)
    counts = raced(tmp_path, "look", 3, 400)
    assert (counts["locked"], counts["refused by a look"]) == (400, 0)
    assert counts["looks"] > 0
    figure(f"locked 400 times beside {counts['looks']} looks: refused 0 times")


def test_beside_a_look_without_an_end_exactly_one_gets_the_lock(tmp_path: Path) -> None:
    saved_run(tmp_path)
    counts = raced(tmp_path, "beside_a_look_without_end", 4, 12)
    assert winners(counts, 12) == [1] * 12
    assert counts["refused"] == 3 * 12


# --- one at a time --------------------------------------------------------------------------------


def test_two_looks_at_once_see_no_writer(tmp_path: Path) -> None:
    """A mutant of the break-in: a look that locks exclusively takes another look for a writer."""
    folder = saved_run(tmp_path)
    with (folder.path / ".lock").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert not folder.is_being_written()


def test_a_look_leaves_the_lock_to_whoever_wants_it(tmp_path: Path) -> None:
    folder = saved_run(tmp_path)
    assert not folder.is_being_written()
    with (folder.path / ".lock").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert folder.is_being_written()


def test_the_lock_names_its_process_and_machine(tmp_path: Path) -> None:
    folder = saved_run(tmp_path)
    look = RunLock(folder.path)
    folder.lock()
    assert look.holder() == LockHolder(process=os.getpid(), host=platform.node())
    lock = folder.path / ".lock"
    for line, holder in {
        b"12\n": LockHolder(process=12, host=None),
        b"12 a.b-c\n": LockHolder(process=12, host="a.b-c"),
        b"": None,
        b"12 \x1b[2J\n": None,
        b"9" * 5_000: None,
        b"12 " + b"x" * 5_000: None,
    }.items():
        lock.write_bytes(line)
        assert look.holder() == holder
    folder.unlock()
    lock.unlink()
    assert look.holder() is None


def test_the_lock_belongs_to_its_account_alone(tmp_path: Path) -> None:
    folder = saved_run(tmp_path)
    lock = folder.path / ".lock"
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    lock.chmod(0o644)
    before = lock.stat().st_ino
    with lock.open("rb") as opened_while_it_was_readable:
        folder.lock()
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
        assert lock.stat().st_ino != before
        assert RunFolder(folder.path).is_being_written()
        with pytest.raises(RunFolderError, match=f"in use by process {os.getpid()}"):
            RunFolder(folder.path).lock()
        folder.unlock()
        fcntl.flock(opened_while_it_was_readable, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.lock()
        folder.unlock()


def test_another_account_that_looks_for_ever_refuses_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved_run(tmp_path)
    monkeypatch.setattr(run_lock, "_SECONDS_FOR_LOOKS", 0.02)
    lock = folder.path / ".lock"
    lock.chmod(0o644)
    with lock.open("rb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_SH)
        folder.lock()
        assert RunFolder(folder.path).is_being_written()
        folder.unlock()
        assert folder.delete() == []


def test_the_lock_of_a_deleted_run_is_not_taken_for_the_new_one_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the file and locking it, the run is deleted and another one begun."""
    folder = saved_run(tmp_path)
    flock, others = fcntl.flock, [RunFolder.create]

    def meanwhile(file: object, how: int) -> None:
        if others:
            create = others.pop()
            (folder.path / ".lock").unlink()
            for path in folder.path.iterdir():
                path.unlink()
            folder.path.rmdir()
            kept.append(create(tmp_path, lock_races.NAME, fallback_name=""))
        flock(file, how)  # type: ignore[arg-type]

    kept: list[RunFolder] = []
    monkeypatch.setattr(fcntl, "flock", meanwhile)
    with pytest.raises(RunFolderError, match="in use by"):
        RunFolder(folder.path).lock()
    assert kept[0].is_being_written()


def test_a_lock_that_cannot_be_looked_at_says_nothing(tmp_path: Path) -> None:
    assert RunLock(tmp_path).is_held() is False
    os.mkfifo(tmp_path / ".lock")
    assert RunLock(tmp_path).is_held() is None
    assert not RunFolder(tmp_path).is_being_written()


def test_a_new_run_reaches_the_disk_with_the_folders_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B11: after a power cut a checkpoint needs the folders that it is in."""
    synced: list[int] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            synced.append(status.st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    RunFolder.create(tmp_path / "a" / "runs", "one", fallback_name="").unlock()
    above = [tmp_path, tmp_path / "a", tmp_path / "a" / "runs"]
    assert {path.stat().st_ino for path in above} <= set(synced)
