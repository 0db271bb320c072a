"""A run on disk: finding, locking, saving, pruning, falling back."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from model_fixtures import make_checkpoint
from patience import PATIENCE

from corpus.files.missing_guarantees import take_missing
from model.errors import CheckpointError, ConfigError, ModelError, RunFolderError
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_file import read_checkpoint
from model.runs.folder import RunFolder

Save = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path / "runs", "tiny", fallback_name="")
    folder.write_description({"run": "tiny"})
    return folder


def steps_in(folder: RunFolder) -> list[int]:
    return [int(path.name[5:13]) for path in folder.checkpoints.paths()]


def step_name(step: int) -> str:
    return f"step-{step:08d}.safetensors"


def names_in(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir())


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


# --- saving and pruning ---------------------------------------------------------------------------


def test_the_best_and_the_last_two_stay(folder: RunFolder) -> None:
    best = float("inf")
    losses = [3.0, 2.0, 2.5, None, 2.6, 2.7, None]
    kept = []
    for step, nats in enumerate(losses, 1):
        best = min(best, nats or best)
        folder.checkpoints.save(make_checkpoint(step, nats=nats, best_nats=best))
        kept.append(steps_in(folder))
    assert kept == [[1], [1, 2], [2, 3], [2, 3, 4], [2, 4, 5], [2, 5, 6], [2, 6, 7]]
    assert folder.checkpoints.load_best(pytest.fail).metadata.step == 2
    assert folder.checkpoints.load_latest(pytest.fail).metadata.step == 7


def test_of_never_validated_checkpoints_the_last_two_stay(folder: RunFolder) -> None:
    for step in range(1, 6):
        folder.checkpoints.save(make_checkpoint(step))
    assert steps_in(folder) == [4, 5]
    assert folder.checkpoints.load_best(pytest.fail).metadata.step == 5


def test_nothing_else_is_pruned(folder: RunFolder) -> None:
    for name in ("mine.safetensors", "step-1.safetensors", "step-00000001.safetensors.bak"):
        (folder.path / name).write_bytes(b"mine")
    for step in range(2, 6):
        folder.checkpoints.save(make_checkpoint(step))
    assert steps_in(folder) == [4, 5]
    assert len([p for p in folder.path.iterdir() if p.read_bytes() == b"mine"]) == 3


def test_steps_of_nine_digits_are_the_newest(folder: RunFolder) -> None:
    for step in (99_999_999, 100_000_000):
        folder.checkpoints.save(make_checkpoint(step))
    assert folder.checkpoints.load_latest(pytest.fail).metadata.step == 100_000_000


def test_weights_that_are_not_finite_leave_all_as_it_was(folder: RunFolder) -> None:
    folder.checkpoints.save(make_checkpoint(1))
    names = names_in(folder)
    spoilt = make_checkpoint(2)
    bias = np.full_like(spoilt.tensors["weights.head.bias"], np.nan)
    tensors = {**spoilt.tensors, "weights.head.bias": bias}
    with pytest.raises(CheckpointError, match="not finite"):
        folder.checkpoints.save(dataclasses.replace(spoilt, tensors=tensors))
    assert names_in(folder) == names


def test_a_full_disk_leaves_the_older_checkpoints(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        folder.checkpoints.save(make_checkpoint(step))
    names = names_in(folder)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            folder.checkpoints.save(make_checkpoint(3))
    assert names_in(folder) == names
    assert folder.checkpoints.load_latest(pytest.fail).metadata.step == 2


def test_a_damaged_checkpoint_counts_for_nothing_and_costs_no_good_one_its_place(
    folder: RunFolder,
) -> None:
    folder.checkpoints.save(make_checkpoint(1, nats=2.0))
    for step in (2, 3):
        folder.checkpoints.save(make_checkpoint(step, nats=3.0, best_nats=2.0))
    flip_a_bit(folder.path / "step-00000002.safetensors")
    flip_a_bit(folder.path / "step-00000001.safetensors")
    for opened in (folder, RunFolder(folder.path)):
        opened.checkpoints.save(make_checkpoint(4, nats=2.5, best_nats=2.0))
        assert steps_in(folder) == [1, 2, 3, 4]
        whole = [
            step
            for step in steps_in(folder)
            if folder.checkpoints._is_undamaged(folder.path / step_name(step))
        ]
        assert whole == [3, 4]
    folder.checkpoints.save(make_checkpoint(5, nats=2.8, best_nats=2.0))
    assert steps_in(folder) == [1, 2, 4, 5], "the third is whole, and neither last nor best"
    assert folder.checkpoints.load_best(lambda _: None).metadata.step == 4


def test_a_header_that_lies_about_its_loss_is_no_best(folder: RunFolder) -> None:
    liar = folder.checkpoints.save(make_checkpoint(1, nats=2.5))
    folder.checkpoints.save(make_checkpoint(2, nats=2.0))
    data = liar.read_bytes()
    assert data.count(b'nats_per_character\\": 2.5') == 2
    liar.write_bytes(data.replace(b'nats_per_character\\": 2.5', b'nats_per_character\\": 0.5'))
    warnings: list[str] = []
    assert [saved.metadata.step for saved in folder.checkpoints.saved(warnings.append)] == [2]
    assert "checksum of its metadata" in warnings[0]
    for step in (3, 4, 5):
        folder.checkpoints.save(make_checkpoint(step, nats=3.0, best_nats=2.0))
    assert steps_in(folder) == [1, 2, 4, 5]


def test_each_checkpoint_is_read_through_once(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2, 3):
        folder.checkpoints.save(make_checkpoint(step))
    again, read = RunFolder(folder.path), []

    def watched(path: Path) -> Checkpoint:
        read.append(path.name)
        return read_checkpoint(path)

    monkeypatch.setattr("model.runs.checkpoint_store.read_checkpoint", watched)
    folder.checkpoints.save(make_checkpoint(4))
    assert read == [], "this process wrote them all"
    again.checkpoints.load_latest(pytest.fail)
    for step in (5, 6, 7):
        again.checkpoints.save(make_checkpoint(step))
    assert sorted(read) == [step_name(3), step_name(4)]


def test_a_checkpoint_that_cannot_be_deleted_is_no_failed_save(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        folder.checkpoints.save(make_checkpoint(step))

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        folder.checkpoints.save(make_checkpoint(3))
    assert steps_in(folder) == [1, 2, 3]
    folder.checkpoints.save(make_checkpoint(4))
    assert steps_in(folder) == [3, 4]


# --- falling back -----------------------------------------------------------------------------


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(folder: RunFolder) -> None:
    folder.checkpoints.save(make_checkpoint(1, nats=1.0))
    newest = folder.checkpoints.save(make_checkpoint(2, nats=2.0, best_nats=1.0))
    flip_a_bit(newest)
    warnings: list[str] = []
    assert folder.checkpoints.load_latest(warnings.append).metadata.step == 1
    (warning,) = warnings
    assert str(newest) in warning
    assert "checksum" in warning


def test_where_the_best_is_damaged_the_next_best_is_taken(folder: RunFolder) -> None:
    best = folder.checkpoints.save(make_checkpoint(1, nats=1.0))
    folder.checkpoints.save(make_checkpoint(2, nats=3.0, best_nats=1.0))
    folder.checkpoints.save(make_checkpoint(3, nats=2.0, best_nats=1.0))
    flip_a_bit(best)
    warnings: list[str] = []
    assert folder.checkpoints.load_best(warnings.append).metadata.step == 3
    assert len(warnings) == 1


def test_where_none_is_whole_that_is_said(folder: RunFolder) -> None:
    for step in (1, 2):
        flip_a_bit(folder.checkpoints.save(make_checkpoint(step)))
    warnings: list[str] = []
    with pytest.raises(CheckpointError, match=r"be read; train .*step-00000002.* is damaged"):
        folder.checkpoints.load_latest(warnings.append)
    assert not warnings  # the error says it in one line


def test_a_checkpoint_without_readable_metadata_is_warned_of(folder: RunFolder) -> None:
    folder.checkpoints.save(make_checkpoint(1))
    folder.checkpoints.save(make_checkpoint(2)).write_bytes(b"")
    warnings: list[str] = []
    assert [saved.metadata.step for saved in folder.checkpoints.saved(warnings.append)] == [1]
    assert "is empty" in warnings[0]


# --- finding and making -------------------------------------------------------------------------


def test_a_run_is_found_by_name_or_by_its_last_checkpoint(tmp_path: Path) -> None:
    for age, name in enumerate(("old", "new", "older")):
        folder = RunFolder.create(tmp_path, name, fallback_name="")
        folder.write_description({})
        path = folder.checkpoints.save(make_checkpoint())
        os.utime(path, (1000 - 10 * age + (100 if name == "new" else 0),) * 2)
    RunFolder.create(tmp_path, "empty", fallback_name="").write_description({})
    assert RunFolder.find(tmp_path, None).name == "new"
    assert RunFolder.find(tmp_path, "older").name == "older"
    assert [run.name for run in RunFolder.all(tmp_path)] == ["empty", "new", "old", "older"]


def test_a_run_that_is_not_there_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such run"):
        RunFolder.find(tmp_path, "none")
    with pytest.raises(CheckpointError, match="no saved run here; train one first"):
        RunFolder.find(tmp_path / "nowhere", None)
    assert RunFolder.all(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "-flag", ".hidden", "a b", "é", "a\n", "a" * 101]
)
def test_a_name_that_would_trip_a_shell_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot name a run"):
        RunFolder.create(tmp_path, name, fallback_name="x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../runs/tiny", "tiny/", "/etc", "a\x00b"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, folder: RunFolder) -> None:
    """C8: finding takes any name of a folder, and no path."""
    with pytest.raises(ConfigError, match="cannot name a run"):
        RunFolder.find(folder.path.parent, name)


@pytest.mark.parametrize("name", ["my run", "実験", "-flag", ".hidden", "é", "a\n", "x" * 200])
def test_a_folder_that_was_renamed_is_found_by_its_name(name: str, folder: RunFolder) -> None:
    """C8: names are checked when they are made, and looked for among those that are there."""
    root = folder.path.parent
    with pytest.raises(CheckpointError, match="no such run"):
        RunFolder.find(root, name)
    folder.path.rename(root / name)
    assert RunFolder.find(root, name).path == root / name


def test_a_taken_name_is_refused_and_a_taken_fallback_gets_a_number(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, "taken", fallback_name="").checkpoints.save(make_checkpoint())
    with pytest.raises(ConfigError, match="this run exists; continue it with --resume"):
        RunFolder.create(tmp_path, "taken", fallback_name="")
    names = [RunFolder.create(tmp_path, None, fallback_name="taken").name for _ in range(2)]
    assert names == ["taken-2", "taken-3"]


def test_a_run_that_ended_before_its_first_checkpoint_can_be_begun_anew(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "early", fallback_name="")
    folder.write_description({"run": "early"})
    folder.record.append_line("metrics.jsonl", "{}")
    (folder.path / ".step-00000009.safetensors.tmp-77").write_bytes(b"half")
    with pytest.raises(RunFolderError, match="in use by process"):
        RunFolder.create(tmp_path, "early", fallback_name="")
    assert folder.record.read_lines("metrics.jsonl") == [{}]
    folder.unlock()
    again = RunFolder.create(tmp_path, "early", fallback_name="")
    assert names_in(again) == [".lock"]
    again.unlock()
    (tmp_path / "early" / "mine").write_bytes(b"")
    with pytest.raises(ConfigError, match="this run exists"):
        RunFolder.create(tmp_path, "early", fallback_name="")


def test_a_file_in_the_place_of_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "file" / "deeper"):
        for name in ("run", None):
            with pytest.raises(ModelError) as caught:
                RunFolder.create(root, name, fallback_name="x")
            assert isinstance(caught.value, RunFolderError)
            assert "--checkpoints" in caught.value.remedy


# --- the lock -----------------------------------------------------------------------------------


def test_a_second_writer_is_refused_until_the_first_lets_go(folder: RunFolder) -> None:
    second = RunFolder(folder.path)
    assert second.is_being_written()
    with pytest.raises(RunFolderError, match=f"in use by process {os.getpid()}; wait"):
        second.lock()
    folder.unlock()
    assert not second.is_being_written()
    second.lock()
    assert folder.is_being_written()
    second.unlock()


def test_a_refused_writer_removes_nothing(folder: RunFolder) -> None:
    temporary = folder.path / ".step-00000009.safetensors.tmp-77"
    temporary.write_bytes(b"being written")
    with pytest.raises(RunFolderError):
        RunFolder(folder.path).lock()
    assert temporary.exists()


def test_locking_removes_what_an_interrupted_writer_left(folder: RunFolder) -> None:
    folder.checkpoints.save(make_checkpoint(1))
    folder.unlock()
    names = names_in(folder)
    (folder.path / ".step-00000009.safetensors.tmp-77").write_bytes(b"half")
    RunFolder(folder.path).lock()
    assert names_in(folder) == names


def test_looking_for_a_writer_does_not_make_files(tmp_path: Path) -> None:
    assert not RunFolder(tmp_path).is_being_written()
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_cannot_lock_is_called_so_once(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("model.runs.lock.fcntl.flock", no_locks)
    other = RunFolder(folder.path)
    assert not other.is_being_written(), "it cannot be known, and nothing says so"
    other.lock()
    (sentence,) = take_missing()
    assert "cannot be locked there (No locks available)" in sentence
    assert take_missing() == []


# --- room -----------------------------------------------------------------------------------------


def test_too_little_room_is_known_before_anything_is_written(folder: RunFolder) -> None:
    names = names_in(folder)
    folder.checkpoints.require_room(1000)
    with pytest.raises(RunFolderError, match=r"No space left on device.; free space") as caught:
        folder.checkpoints.require_room(10**18)
    assert str(caught.value).startswith(f"{folder.path}: has no room for a checkpoint of 1,0")
    assert names_in(folder) == names


# --- description and lines ------------------------------------------------------------------------


def test_a_description_comes_back(folder: RunFolder) -> None:
    folder.write_description({"run": "tiny", "vocabulary": "aé\u2028"})
    assert folder.description() == {"run": "tiny", "vocabulary": "aé\u2028"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", None])
def test_a_damaged_description_is_refused(content: bytes | None, folder: RunFolder) -> None:
    path = folder.path / "run.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cannot be read \(.*\); name a checkpoint file"):
        folder.description()


def test_lines_that_are_cut_short_or_foreign_are_left_out(folder: RunFolder) -> None:
    assert folder.record.read_lines("metrics.jsonl") == []
    for number in (1, 2):
        folder.record.append_line("metrics.jsonl", json.dumps({"step": number}))
    with (folder.path / "metrics.jsonl").open("ab") as file:
        file.write(b'\xff\n[1]\n7\n\n{"step": 3}\n{"step": 4, "lo')
    assert folder.record.read_lines("metrics.jsonl") == [{"step": 1}, {"step": 2}, {"step": 3}]


def test_a_line_that_finds_no_room_leaves_nothing_of_itself(folder: RunFolder) -> None:
    """In a process of its own: the limit holds for all that a process writes."""
    folder.record.append_line("metrics.jsonl", json.dumps({"step": 1}))
    code = """
        import resource, sys
        from pathlib import Path
        from model.runs.folder import RunFolder
        resource.setrlimit(resource.RLIMIT_FSIZE, (40, resource.RLIM_INFINITY))
        folder = RunFolder(Path(sys.argv[1]))
        try:
            folder.record.append_line("metrics.jsonl", '{"step": 2, "text": "' + "x" * 60 + '"}')
        except OSError as error:
            print(error.strerror)
        folder.record.append_line("metrics.jsonl", '{"step": 3}')
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(folder.path)],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert done.stdout == "File too large\n"
    assert folder.record.read_lines("metrics.jsonl") == [{"step": 1}, {"step": 3}]


def test_lost_steps_are_forgotten(folder: RunFolder) -> None:
    """Lines of the steps up to the checkpoint stay, and what stands between them."""
    kept = [{"event": "run_started"}, {"step": 1}, {"text": "a warning"}, {"step": 5}]
    lost = [{"step": 6}, {"text": "a later warning"}, {"event": "finished", "step": 9}]
    for record in kept + lost:
        folder.record.append_line("metrics.jsonl", json.dumps(record))
    with (folder.path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 4, "lo')
    folder.record.append_line("samples.jsonl", json.dumps({"step": 4}))
    folder.record.forget_after(100)
    assert folder.record.read_lines("metrics.jsonl") == kept + lost, "only the half line went"
    folder.record.forget_after(5)
    folder.record.append_line("metrics.jsonl", json.dumps({"step": 6}))
    assert folder.record.read_lines("metrics.jsonl") == [*kept, {"step": 6}]
    assert folder.record.read_lines("samples.jsonl") == [{"step": 4}]


def test_a_run_is_known_by_its_creation_and_not_by_its_name(tmp_path: Path) -> None:
    """C5: whoever still trains a run that was deleted writes nothing into the next of its name."""
    first = RunFolder.create(tmp_path, "a", fallback_name="b")
    first.write_description({"id": "1" * 32, "created": "2026-11-28T02:00:00+0000"})
    first.checkpoints.save(make_checkpoint(1))
    first.record.append_line("metrics.jsonl", "{}")
    shutil.rmtree(first.path)
    second = RunFolder.create(tmp_path, "a", fallback_name="b")
    second.write_description({"id": "2" * 32, "created": "2026-11-28T02:00:00+0000"})
    second.unlock()
    for write in (
        lambda: first.checkpoints.save(make_checkpoint(2)),
        lambda: first.record.append_line("metrics.jsonl", "{}"),
    ):
        with pytest.raises(OSError, match="another run now has this folder"):
            write()
    assert not second.checkpoints.paths()
    with pytest.raises(RunFolderError, match="is now another run"):
        RunFolder(first.path).delete("1" * 32)
    assert RunFolder(first.path).delete("2" * 32) == []


def test_a_run_of_an_older_version_is_known_by_when_it_was_made(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a", fallback_name="b")
    assert folder.identity() is None
    folder.write_description({"created": "2026-11-27T02:00:00+0000"})
    assert folder.identity() == "2026-11-27T02:00:00+0000"
