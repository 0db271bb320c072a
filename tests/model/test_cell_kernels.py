"""The compiled loops of our LSTM layer: exact enough, honest about NaN, safe with their cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model import compiled
from model.cell_kernels import _number, _stored, tanh
from model.compiled import Kernel

Floats = npt.NDArray[np.float32]


@Kernel
def squash(numbers: Floats, out: Floats) -> None:
    for j in range(len(numbers)):
        out[j] = tanh(numbers[j])


@Kernel
def there_and_back(numbers: Floats, stored: npt.NDArray[np.uint16], out: Floats) -> None:
    for j in range(len(numbers)):
        stored[j] = _stored(numbers[j], stored)
        out[j] = _number(stored[j])


def test_tanh_is_right_to_six_digits_and_never_above_one() -> None:
    numbers = np.linspace(-100, 100, 200_001, dtype=np.float32)
    numbers = np.concatenate([numbers, numbers / 1e3, [np.inf, -np.inf, 0]]).astype(np.float32)
    out = np.empty_like(numbers)
    squash.run(numbers, out)
    assert np.abs(out - np.tanh(numbers.astype(np.float64))).max() < 5e-7
    assert np.abs(out).max() <= 1


def test_what_is_not_a_number_stays_so() -> None:
    numbers = np.array([np.nan] * 40, np.float32)
    out = np.zeros_like(numbers)
    squash.run(numbers, out)
    assert np.isnan(out).all()
    there_and_back.run(numbers, np.empty(40, np.uint16), out)
    assert np.isnan(out).all()


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40))
def test_bfloat16_is_rounded_as_pytorch_rounds_it(values: list[float]) -> None:
    numbers = np.array(values, np.float32)
    out = np.empty_like(numbers)
    there_and_back.run(numbers, np.empty(len(numbers), np.uint16), out)
    expected = torch.from_numpy(numbers).bfloat16().float().numpy()
    assert np.array_equal(out, expected)


def make_kernel() -> Kernel:
    """Returns a kernel that has been loaded by nobody yet, in this process or before."""

    def double(numbers: Floats) -> None:
        for j in range(len(numbers)):
            numbers[j] += numbers[j]

    return Kernel(double)


def cached_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in {".nbi", ".nbc"}]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    return tmp_path


def doubles(kernel: Kernel) -> bool:
    numbers = np.ones(5, np.float32)
    kernel.prepare(np.ones(5, np.float32))
    kernel.run(numbers)
    return bool((numbers == 2).all())


def test_what_was_compiled_is_kept_on_the_disk(cache: Path) -> None:
    assert doubles(make_kernel())
    kept = cached_files(cache)
    assert {path.suffix for path in kept} == {".nbi", ".nbc"}
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert doubles(make_kernel())
    assert {path: path.stat().st_mtime_ns for path in cached_files(cache)} == before


def test_a_change_of_any_source_has_it_compiled_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doubles(make_kernel())
    before = {path: path.stat().st_mtime_ns for path in cached_files(cache)}
    monkeypatch.setattr(compiled, "_stamp_of_sources", lambda: 0)
    assert doubles(make_kernel())
    after = {path: path.stat().st_mtime_ns for path in cached_files(cache)}
    assert all(after[path] > before[path] for path in before if path.suffix == ".nbi")


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"\x80\x04 nonsense")],
    ids=["empty", "nonsense"],
)
def test_a_damaged_cache_does_no_harm(cache: Path, damage: Callable[[Path], object]) -> None:
    assert doubles(make_kernel())
    for path in cached_files(cache):
        damage(path)
    assert doubles(make_kernel())


def test_a_full_disk_does_no_harm(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._open_for_write", refuse)
    assert doubles(make_kernel())
    assert not cached_files(cache)


def test_no_place_for_a_cache_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    assert doubles(make_kernel())
