"""Writing files so that neither a full disk nor a power cut leaves a part of one."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from model.runs.storage import cut_off, remove_stale_temporaries, write_atomically

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_bytes_are_synced_before_the_rename_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            assert os.path.samestat(status, tmp_path.stat())
            calls.append("sync folder")
        else:
            calls.append(f"sync file of {status.st_size} bytes")
        fsync(descriptor)

    def watched_replace(source: Path, target: Path) -> None:
        assert source.parent == target.parent == tmp_path
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_atomically(tmp_path / "file", b"x" * 70_000)
    assert calls == ["sync file of 70000 bytes", "rename", "sync folder"]


def refuse(*args: Any, **kwargs: Any) -> Any:
    raise NO_SPACE


@pytest.mark.parametrize("broken", [(os, "fsync"), (os, "replace"), (os, "open")])
@pytest.mark.parametrize("old", [b"old", None])
def test_a_write_that_fails_leaves_the_old_file_and_no_temporary(
    broken: tuple[Any, str], old: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    with monkeypatch.context() as patch:
        patch.setattr(*broken, refuse)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ([] if old is None else ["file"])
    if old is not None:
        assert path.read_bytes() == old


def test_a_file_gets_the_mode_of_any_new_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "ours", b"")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_only_stale_temporaries_are_removed(tmp_path: Path) -> None:
    """C1, B2: by the names that this version and the earlier ones make, links left alone."""
    stale = {
        ".charlm-0123456789abcdef.tmp-17",
        ".step-00000012.safetensors.tmp-17",
        ".run.json.tmp-4",
        ".probe.tmp-12",
    }
    mine = {".lock", "run.json", "tmp-1", ".notes.txt.tmp-3", ".charlm-01.tmp-17", ".run.json.tmp-"}
    for name in stale | mine:
        (tmp_path / name).write_bytes(b"")
    link = tmp_path / ".charlm-fedcba9876543210.tmp-1"
    link.symlink_to("run.json")
    assert remove_stale_temporaries(tmp_path) == len(stale)
    assert {path.name for path in tmp_path.iterdir()} == mine | {link.name}


def test_a_name_as_long_as_any_may_be_is_written(tmp_path: Path) -> None:
    """C12: the temporary file beside it has a short name."""
    path = tmp_path / ("x" * 255)
    write_atomically(path, b"new")
    write_atomically(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_names_the_file_and_no_temporary(tmp_path: Path) -> None:
    """C12."""
    with pytest.raises(OSError, match="No such file or directory") as caught:
        write_atomically(tmp_path / "gone" / "file", b"")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "gone/file"), None)


def test_shortening_a_file_reaches_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mutant of the break-in: without a sync, a power cut brings back what was cut off."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    synced: list[tuple[int, int]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced.append((status.st_ino, status.st_size))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    cut_off(path, 4)
    assert path.read_bytes() == b"0123"
    assert synced == [(path.stat().st_ino, 4)]
