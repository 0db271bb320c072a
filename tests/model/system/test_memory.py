"""What a training needs is compared with what the system gives, before anything is begun (C7)."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from model.config import ModelConfig, TrainingConfig
from model.errors import ConfigError
from model.network.memory_needed import require_memory
from model.presets import PRESETS, Preset
from model.system.memory import free_memory
from model.system.refusal import refusal_of

GIGABYTE = 2**30
MODEL = ModelConfig()


def system_with(root: Path, available: int, **files: str) -> Path:
    """Returns a root below which `proc` and `sys` tell of so many free bytes and of a group."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {available // 1024} kB\n")
    group = root / "sys/fs/cgroup/job"
    group.mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("0::/job\n")
    mount = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    (root / "proc/self/mountinfo").write_text(mount)
    for name, text in files.items():
        (group / name.replace("_", ".")).write_text(text)
    return root


def test_a_batch_of_long_sequences_counts_and_not_the_network_alone(tmp_path: Path) -> None:
    system = system_with(tmp_path, 16 * GIGABYTE)
    training = TrainingConfig(batch=4096, sequence=4096)
    require_memory(MODEL, training, 60, batch=32, system=system)
    with pytest.raises(ConfigError, match=r"--batch: .* GB are free; give a smaller --batch"):
        require_memory(MODEL, training, 60, batch=4096, system=system)
    with pytest.raises(ConfigError, match="end other programs"):
        require_memory(MODEL, training, 60, batch=4096, resumed=True, system=system)
    with pytest.raises(ConfigError, match=r"--hidden: .*fewer --layers"):
        require_memory(
            ModelConfig(hidden=16384, layers=4), TrainingConfig(), 60, batch=1, system=system
        )


def test_what_a_teacher_predicts_counts_with_the_length_of_the_text(tmp_path: Path) -> None:
    system = system_with(tmp_path, 16 * GIGABYTE)

    def require(characters: int, share: float) -> None:
        training = TrainingConfig(teacher_share=share)
        require_memory(MODEL, training, 60, batch=32, characters=characters, system=system)

    require(100_000_000, share=0.3)  # 12 GB
    with pytest.raises(ConfigError, match=r"--teacher-share: .*give 0, which trains one network"):
        require(200_000_000, share=0.3)
    require(200_000_000, share=0.0)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_preset_fits_where_a_laptop_has_room(preset: Preset, tmp_path: Path) -> None:
    system = system_with(tmp_path, 4 * GIGABYTE)
    batch = preset.training.batch
    require_memory(preset.model, preset.training, 200, batch=batch, system=system)


def test_the_limit_of_a_control_group_holds_where_it_leaves_less(tmp_path: Path) -> None:
    system = system_with(
        tmp_path,
        16 * GIGABYTE,
        memory_max=f"{2 * GIGABYTE}\n",
        memory_current=f"{GIGABYTE}\n",
        memory_stat=f"anon 5\ninactive_file {GIGABYTE // 2}\n",
    )
    assert free_memory(system) == GIGABYTE + GIGABYTE // 2


def test_a_group_without_a_limit_leaves_what_the_machine_has(tmp_path: Path) -> None:
    system = system_with(tmp_path, 3 * GIGABYTE, memory_max="max\n", memory_current="5\n")
    assert free_memory(system) == 3 * GIGABYTE


def test_version_1_of_control_groups_is_read_as_well(tmp_path: Path) -> None:
    system = system_with(tmp_path, 3 * GIGABYTE)
    (system / "proc/self/cgroup").write_text("4:memory:/job\n")
    mount = "30 23 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw,memory\n"
    (system / "proc/self/mountinfo").write_text(mount)
    group = system / "sys/fs/cgroup/job"
    (group / "memory.limit_in_bytes").write_text(f"{GIGABYTE}\n")
    (group / "memory.usage_in_bytes").write_text(f"{GIGABYTE // 4}\n")
    assert free_memory(system) == GIGABYTE - GIGABYTE // 4


def test_where_nothing_tells_nothing_is_refused(tmp_path: Path) -> None:
    assert free_memory(tmp_path) is None
    require_memory(MODEL, TrainingConfig(batch=65536), 60, batch=65536, system=tmp_path)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (ImportError("x.so: failed to map segment from shared object"), "memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried ..."), "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 9 GiB"), "memory"),
        (RuntimeError("std::bad_alloc"), "memory"),
        (RuntimeError("can't start new thread"), "threads"),
        (OSError(errno.EMFILE, "Too many open files"), "open files"),
    ],
    ids=repr,
)
def test_what_the_system_refuses_is_no_defect(error: Exception, what: str) -> None:
    refusal = refusal_of(error)
    assert refusal is not None
    assert refusal.subject == what
    assert refusal.remedy
    try:
        raise ValueError("of ours") from error
    except ValueError as outer:
        assert refusal_of(outer) is refusal


@pytest.mark.parametrize(
    "error", [RuntimeError("shape"), OSError(errno.ENOSPC, "x"), ValueError("out of memory"),
              ConfigError("--batch", "not enough memory", "x")],
    ids=repr,
)  # fmt: skip
def test_everything_else_is_none_of_it(error: Exception) -> None:
    assert refusal_of(error) is None
