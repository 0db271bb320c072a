"""The number of cores that this process may use, also in a container or a job. Pure."""

from __future__ import annotations

import os
from pathlib import Path

from model.system.cgroup import SYSTEM, group_folders, numbers_in


def usable_cores(system: Path = SYSTEM) -> int:
    """Returns how many threads can compute at the same time, at least 1.

    This is the number of cores that the scheduler may choose from, or the limit of a control group.
    A limit is rounded down, because at a barrier all threads would wait for a throttled one.

    Args:
        system: the folder that holds ``proc`` and ``sys``.
    """
    quotas = [quota for folder in group_folders("cpu", system) if (quota := _quota(folder))]
    return max(1, int(min([float(_scheduled_cores()), *quotas])))


def _scheduled_cores() -> int:
    """Returns the cores that the scheduler may choose from."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(folder: Path) -> float | None:
    """Returns the limit of a control group in cores; None without a limit."""
    for quota_and_period in (
        numbers_in(folder / "cpu.max"),  # version 2: both in one file
        numbers_in(folder / "cpu.cfs_quota_us") + numbers_in(folder / "cpu.cfs_period_us"),
    ):
        if len(quota_and_period) == 2 and min(quota_and_period) > 0:
            return quota_and_period[0] / quota_and_period[1]
    return None
