"""How much memory a training needs at least, and how much this process may still take. No torch.

What cannot be had is said before anything is begun; the system would end the program for it, or
refuse in the middle.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from model.cgroup import SYSTEM, group_folders, numbers_in
from model.checkpoint_form import weight_shapes
from model.config import ModelConfig, TrainingConfig
from model.errors import ConfigError, SystemRefusal

if sys.platform != "win32":  # it sets no such limits
    import resource

BYTES_PER_PARAMETER = 24
"""Weights, gradients, two moments of AdamW, and copies of them while saving, all float32."""
NUMBERS_PER_UNIT, NUMBERS_PER_LOGIT = 8, 3
"""What a step keeps at least of each character for each hidden unit of a layer and each symbol, for
the way back: gates, cell and hidden state, logits (measured: 10 to 18 and 4)."""
LEAST_SPACE, LEAST_DATA = 1_150_000_000, 300_000_000
"""Bytes of address space, and of private data, that the smallest training takes: PyTorch, Numba and
their threads (measured: 1.26 and 0.4 GB). Libraries end the process where they do not get them."""
GIGABYTE = 2**30


def require_memory(
    model: ModelConfig,
    training: TrainingConfig,
    vocabulary_size: int,
    *,
    batch: int,
    resumed: bool = False,
    system: Path = SYSTEM,
) -> None:
    """Refuses a training that cannot fit.

    Args:
        model: the shape of the network.
        training: how it is trained.
        vocabulary_size: V.
        batch: streams of this process.
        resumed: whether the settings are those of a run that was begun before.
        system: below which ``proc`` and ``sys`` are.

    Raises:
        ConfigError: it needs more than is free.
    """
    shapes = weight_shapes(model, vocabulary_size).values()
    weights = BYTES_PER_PARAMETER * sum(map(math.prod, shapes))
    characters = batch * training.sequence
    scored = characters if training.scoring == "every" else batch
    step = 4 * (
        characters * model.layers * model.hidden * NUMBERS_PER_UNIT
        + scored * vocabulary_size * NUMBERS_PER_LOGIT
    )
    free = free_memory(system)
    if free is None or weights + step <= free:
        return
    option, remedy = "--batch", "give a smaller --batch or --sequence"
    if weights > step:
        option, remedy = "--hidden", "give a smaller --hidden or fewer --layers"
    if resumed:
        remedy = "end other programs, or raise the limit"
    raise ConfigError(
        option,
        f"this training needs about {_gigabytes(weights + step)} GB of memory, and "
        f"{_gigabytes(free)} GB are free",
        remedy,
    )


def require_space() -> None:
    """Refuses limits that leave no room for PyTorch; call it before that is imported.

    Raises:
        SystemRefusal: one is too low.
    """
    for option, left, least in _limits(SYSTEM):
        if left < least and "torch" not in sys.modules:
            raise SystemRefusal(
                "memory",
                f"a training takes at least {least / GIGABYTE:.1f} GB of what `ulimit {option}` "
                f"counts, and {max(0, left) / GIGABYTE:.1f} GB are left",
                "raise that limit",
            )


def free_memory(system: Path = SYSTEM) -> int | None:
    """Returns the bytes that this process may still take; None where nothing tells.

    That is the least of what the machine has free, of what its control groups leave, and of its own
    limits (``ulimit -v`` and ``-d``).

    Args:
        system: below which ``proc`` and ``sys`` are.
    """
    found = [left for folder in group_folders("memory", system) if (left := _left_in(folder))]
    if available := _kilobytes(system / "proc/meminfo", "MemAvailable"):
        found.append(available)
    found += [left for _, left, _ in _limits(system)]
    return max(0, min(found)) if found else None


def _limits(system: Path) -> list[tuple[str, int, int]]:
    """Returns of each limit its option of ``ulimit``, what it leaves, and what a training takes."""
    if sys.platform == "win32":
        return []
    found = []
    for option, kind, field, least in (
        ("-v", resource.RLIMIT_AS, "VmSize", LEAST_SPACE),
        ("-d", resource.RLIMIT_DATA, "VmData", LEAST_DATA),
    ):
        limit, _ = resource.getrlimit(kind)
        used = _kilobytes(system / "proc/self/status", field)
        if limit != resource.RLIM_INFINITY and used:
            found.append((option, limit - used, least))
    return found


def _left_in(folder: Path) -> int | None:
    """Returns the bytes that a control group leaves; pages of files it gives back when asked."""
    for limit_name, used_name, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, used = numbers_in(folder / limit_name), numbers_in(folder / used_name)
        if limit and used:
            return max(1, limit[0] - used[0] + _number(folder / "memory.stat", cached))
    return None


def _kilobytes(path: Path, field: str) -> int:
    return 1024 * _number(path, f"{field}:")


def _number(path: Path, field: str) -> int:
    """Returns the number behind a field of a system's file; 0 where it is not there."""
    try:
        words = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
        return next(int(line[1]) for line in words if line and line[0] == field)
    except (OSError, ValueError, IndexError, StopIteration):
        return 0


def _gigabytes(size: int) -> str:
    return f"{size / GIGABYTE:,.1f}" if size < 100 * GIGABYTE else f"{size / GIGABYTE:,.0f}"
