"""Writing files so that neither a full disk nor a power cut leaves a part of one."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from model.storage import remove_stale_temporaries, write_atomically

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_bytes_are_synced_before_the_rename_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            assert os.path.samestat(status, tmp_path.stat())
            calls.append("sync folder")
        else:
            calls.append(f"sync file of {status.st_size} bytes")
        fsync(descriptor)

    def watched_replace(self: Path, target: Path) -> Path:
        assert self.parent == target.parent == tmp_path
        calls.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    write_atomically(tmp_path / "file", b"x" * 70_000)
    assert calls == ["sync file of 70000 bytes", "rename", "sync folder"]


def refuse(*args: Any, **kwargs: Any) -> Any:
    raise NO_SPACE


@pytest.mark.parametrize("broken", [(os, "fsync"), (Path, "replace"), (Path, "open")])
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
    for name in (".a.safetensors.tmp-17", ".run.json.tmp-4", ".lock", "run.json", "tmp-1"):
        (tmp_path / name).write_bytes(b"")
    assert remove_stale_temporaries(tmp_path) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "run.json", "tmp-1"]
