"""How many cores this process may use: in a container or a job, fewer than there are. Pure."""

from __future__ import annotations

import os
from pathlib import Path

from model.system.cgroup import SYSTEM, group_folders, numbers_in


def usable_cores(system: Path = SYSTEM) -> int:
    """Returns how many threads can compute at the same time, at least 1.

    That is what the system's scheduler may choose from, or less where a control group limits the
    time: of one and a half cores the half is left out, for threads that meet would all wait for the
    one that is stopped.

    Args:
        system: below which ``proc`` and ``sys`` are.
    """
    quotas = [quota for folder in group_folders("cpu", system) if (quota := _quota(folder))]
    return max(1, int(min([float(_scheduled_cores()), *quotas])))


def _scheduled_cores() -> int:
    """Returns the cores that the scheduler may choose from."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(folder: Path) -> float | None:
    """Returns the cores' worth of time that a control group may take; None: as much as there is."""
    for found in (
        numbers_in(folder / "cpu.max"),  # version 2: both in one file
        numbers_in(folder / "cpu.cfs_quota_us") + numbers_in(folder / "cpu.cfs_period_us"),
    ):
        if len(found) == 2 and min(found) > 0:
            return found[0] / found[1]
    return None
