"""Measures free memory and checks the limits before training starts. No torch."""

from __future__ import annotations

import sys
from pathlib import Path

from model.errors import SystemRefusal
from model.system.cgroup import SYSTEM, group_folders, numbers_in

if sys.platform != "win32":  # Windows has no such limits
    import resource

MIN_ADDRESS_SPACE_BYTES, MIN_PRIVATE_BYTES = 1_150_000_000, 300_000_000
"""Minimum address space and private data of the smallest training, including PyTorch, Numba and
their threads (measured: 1.26 and 0.4 GB). With less, libraries end the process."""


GIGABYTE = 2**30


def require_space() -> None:
    """Refuses limits that are too low for PyTorch; call this before PyTorch is imported.

    Raises:
        SystemRefusal: a limit is too low.
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
    """Returns the bytes that this process can still allocate; None if that is not known.

    This is the minimum of the machine's free memory, the rest of the control groups' limits, and
    the rest of the process limits (``ulimit -v`` and ``-d``).

    Args:
        system: the folder that holds ``proc`` and ``sys``.
    """
    free_bytes = [left for folder in group_folders("memory", system) if (left := _left_in(folder))]
    if available := _kilobytes(system / "proc/meminfo", "MemAvailable"):
        free_bytes.append(available)
    free_bytes += [left for _, left, _ in _limits(system)]
    return max(0, min(free_bytes)) if free_bytes else None


def _limits(system: Path) -> list[tuple[str, int, int]]:
    """Returns for each process limit: its ``ulimit`` option, free bytes, and minimum bytes."""
    if sys.platform == "win32":
        return []
    limits = []
    for option, kind, field, least in (
        ("-v", resource.RLIMIT_AS, "VmSize", MIN_ADDRESS_SPACE_BYTES),
        ("-d", resource.RLIMIT_DATA, "VmData", MIN_PRIVATE_BYTES),
    ):
        limit, _ = resource.getrlimit(kind)
        used = _kilobytes(system / "proc/self/status", field)
        if limit != resource.RLIM_INFINITY and used:
            limits.append((option, limit - used, least))
    return limits


def _left_in(folder: Path) -> int | None:
    """Returns the free bytes of a control group; reclaimable file pages count as free."""
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
    """Returns the number after a field name in a system file; 0 if the field is missing."""
    try:
        words = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
        return next(int(line[1]) for line in words if line and line[0] == field)
    except (OSError, ValueError, IndexError, StopIteration):
        return 0


def _gigabytes(size: int) -> str:
    return f"{size / GIGABYTE:,.1f}" if size < 100 * GIGABYTE else f"{size / GIGABYTE:,.0f}"
