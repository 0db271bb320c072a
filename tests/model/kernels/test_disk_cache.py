"""Compiled functions on the disk: what is damaged, foreign or open to others is not loaded."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cached_kernel
import forked
import pytest
from cached_kernel import DIGESTS, entry_in, make_stepper, was_compiled

from corpus.files.cache_folder import cache_folder
from model.kernels import disk_cache as kernel_cache
from model.kernels import jit as compiled
from model.kernels.disk_cache import PACKAGE


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's kernels are kept."""
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path / "numba"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    return tmp_path / "numba" / "charlm-tui"


def test_what_was_compiled_is_kept_for_this_user_alone(cache: Path) -> None:
    assert was_compiled(make_stepper())
    entry = entry_in(cache)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    before = entry.stat()
    assert not was_compiled(make_stepper())
    assert entry_in(cache).stat().st_mtime_ns == before.st_mtime_ns


def test_a_change_of_any_source_has_it_compiled_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert was_compiled(make_stepper())
    before = entry_in(cache).read_bytes()
    monkeypatch.setattr(compiled, "_stamp", lambda: "another")
    assert was_compiled(make_stepper())
    assert entry_in(cache).read_bytes() != before, "in the place of what is stale"
    assert not was_compiled(make_stepper())


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x80\x04 nonsense"),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"\0"),
        lambda path: path.write_bytes(bytes(path.stat().st_size)),
        lambda path: path.chmod(0o620),
        lambda path: replace(path, path.mkdir),
        lambda path: replace(path, lambda: os.mkfifo(path)),
        lambda path: path.rename(path.parent.parent / "it") and path.symlink_to("../it"),
    ],
    ids=[
        "empty",
        "nonsense",
        "shorter",
        "longer",
        "zeros",
        "open to others",
        "folder",
        "FIFO",
        "link",
    ],
)
def test_a_damaged_entry_is_compiled_again_b8(
    cache: Path, damage: Callable[[Path], object]
) -> None:
    assert was_compiled(make_stepper())
    damage(entry_in(cache))
    assert was_compiled(make_stepper())


def replace(path: Path, make: Callable[[], object]) -> None:
    path.unlink()
    make()


@pytest.mark.parametrize(
    "flips",
    [24, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])],
    ids=["some", "many"],
)
def test_any_flipped_byte_is_found_and_mended_b8(
    flips: int, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    done = subprocess.run(
        [sys.executable, str(cached_kernel.__file__), str(flips)],
        env=forked.environment() | {"NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    mended, places = map(int, done.stdout.split())
    figure(f"kernel cache: {mended} of {places} flipped bytes found and mended")
    assert mended == places > flips


def test_functions_that_two_processes_compile_have_different_names(tmp_path: Path) -> None:
    names = []
    for process in ("one", "other"):
        code = "from cached_kernel import *; was_compiled(make_stepper())"
        cache = {"NUMBA_CACHE_DIR": str(tmp_path / process)}
        subprocess.run([sys.executable, "-c", code], env=forked.environment() | cache, check=True)
        content = entry_in(tmp_path / process / "charlm-tui").read_bytes()
        names.append(set(re.findall(rb"doubleB\d+v\d+", content)))
    assert all(names)
    assert not set.intersection(*names), "all kernels would use the first of them"


class Poison:
    """Runs code when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.witness,)


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_may_enter_is_not_used_b8(mode: int, cache: Path) -> None:
    assert was_compiled(make_stepper())
    before = entry_in(cache).read_bytes()
    cache.chmod(mode)
    assert was_compiled(make_stepper())
    assert entry_in(cache).read_bytes() == before
    assert not was_compiled(make_stepper()), "it is kept in a temporary folder of this user's"


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away takes root's rights")
@pytest.mark.parametrize("given", ["folder", "entry"])
def test_what_another_account_owns_is_not_loaded_b8(given: str, cache: Path) -> None:
    assert was_compiled(make_stepper())
    entry = entry_in(cache)
    witness = cache / "witness"
    key = entry.read_bytes()[DIGESTS // 2 : DIGESTS]
    rest = key + pickle.dumps(Poison(witness))
    entry.write_bytes(hashlib.sha256(rest).digest() + rest)
    os.chown(cache if given == "folder" else entry, 65534, 65534)
    assert was_compiled(make_stepper())
    assert not witness.exists()


def test_a_link_is_no_folder_of_this_user_b8(cache: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    cache.parent.mkdir()
    cache.symlink_to(elsewhere)
    assert was_compiled(make_stepper())
    assert not list(elsewhere.iterdir())


def test_a_temporary_folder_that_was_laid_out_by_another_is_not_used_b8(
    cache: Path, tmp_path: Path
) -> None:
    cache.parent.write_bytes(b"no folder")
    laid_out = tmp_path / "temporary" / f"charlm-tui-{os.geteuid()}"
    laid_out.mkdir(mode=0o777)
    laid_out.chmod(0o777)
    assert was_compiled(make_stepper())
    assert was_compiled(make_stepper()), "there is no place left to keep it"
    assert not list(laid_out.iterdir())


@pytest.mark.parametrize("call", ["write", "replace"])
def test_a_full_disk_does_no_harm(
    call: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if call == "write":
        monkeypatch.setattr(kernel_cache.os, "fdopen", refuse)  # type: ignore[attr-defined]
    else:
        monkeypatch.setattr(kernel_cache.os, "replace", refuse)  # type: ignore[attr-defined]
    assert was_compiled(make_stepper())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_without_any_place_it_is_compiled_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_cache, "_places", lambda: iter(()))
    assert was_compiled(make_stepper())
    assert was_compiled(make_stepper())


def test_a_program_that_may_not_write_keeps_it_with_the_user_c24(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", "")
    monkeypatch.setattr(kernel_cache, "PACKAGE", tmp_path / "no folder" / "model")
    (tmp_path / "no folder").write_bytes(b"")
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "cache"))
    assert was_compiled(make_stepper())
    assert entry_in(cache_folder() / "kernels").exists()
    assert not was_compiled(make_stepper())


def test_without_a_writable_cache_a_temporary_folder_of_the_user_serves_c24(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", "")
    monkeypatch.setattr(kernel_cache, "PACKAGE", tmp_path / "no folder" / "model")
    (tmp_path / "no folder").write_bytes(b"")
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "no folder" / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert was_compiled(make_stepper())
    assert entry_in(tmp_path / f"charlm-tui-{os.geteuid()}" / "kernels").exists()
    assert not was_compiled(make_stepper())


def test_by_default_it_lies_beside_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", "")
    assert next(iter(kernel_cache._places())) == PACKAGE / "__pycache__" / "kernels"


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o027, 0o077])
def test_the_users_mask_opens_nothing(mask: int, cache: Path) -> None:
    with umask(mask):
        assert was_compiled(make_stepper())
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry_in(cache).stat().st_mode) == 0o600
