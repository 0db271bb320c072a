"""How many cores a process may use: what affinity, containers and jobs leave of the machine's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from forked import ROOT, environment

from model.system import cores
from model.system.cgroup import group_folders
from model.system.cores import usable_cores

UNIFIED = "30 23 0:26 {root} {point} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
OF_CPU = "32 31 0:29 {root} {point} rw,relatime - cgroup cgroup rw,cpu,cpuacct"
OF_MEMORY = "33 31 0:30 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
ELSE = "22 1 8:1 / / rw,relatime - ext4 /dev/root rw"


@pytest.fixture(autouse=True)
def machine_with_64_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_scheduled_cores", lambda: 64)


class FakeSystem:
    """Files below a folder as Linux has them below its root."""

    def __init__(self, folder: Path, mounts: list[str], membership: str) -> None:
        self.folder = folder
        self.write("proc/self/mountinfo", "\n".join([ELSE, *mounts]) + "\n")
        self.write("proc/self/cgroup", membership)

    def write(self, path: str, content: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")

    def cores(self) -> int:
        return usable_cores(self.folder)


def unified(folder: Path, group: str, root: str = "/") -> FakeSystem:
    mount = UNIFIED.format(root=root, point="/sys/fs/cgroup")
    return FakeSystem(folder, [mount], f"0::{group}\n")


def first_version(folder: Path, group: str, root: str = "/") -> FakeSystem:
    mount = OF_CPU.format(root=root, point="/sys/fs/cgroup/cpu,cpuacct")
    membership = f"9:memory:/elsewhere\n8:cpu,cpuacct:{group}\n1:name=systemd:/u\n0::/u\n"
    return FakeSystem(folder, [OF_MEMORY, mount], membership)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("200000 100000", 2),
        ("max 100000", 64),
        ("150000 100000", 1),
        ("50000 100000", 1),
        ("25000 5000", 5),
        ("999900000 100000", 64),
        ("", 64),
        ("nonsense", 64),
        ("0 0", 64),
        ("-1 100000", 64),
        ("200000 100000 7", 64),
        ("9" * 400 + " 1", 64),
    ],
)
def test_a_quota_of_version_2_allows_fewer_cores_c14(
    limit: str, expected: int, tmp_path: Path
) -> None:
    system = unified(tmp_path, "/job")
    system.write("sys/fs/cgroup/job/cpu.max", limit)
    assert system.cores() == expected


@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [("200000", "100000", 2), ("-1", "100000", 64), ("300000", "0", 64), ("300000", "50000", 6)],
)
def test_a_quota_of_version_1_allows_fewer_cores_c14(
    quota: str, period: str, expected: int, tmp_path: Path
) -> None:
    system = first_version(tmp_path, "/job")
    system.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", quota + "\n")
    system.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", period + "\n")
    assert system.cores() == expected


@pytest.mark.parametrize("level", ["", "/outer", "/outer/middle", "/outer/middle/inner"])
def test_the_smallest_quota_from_the_group_upwards_holds(level: str, tmp_path: Path) -> None:
    system = unified(tmp_path, "/outer/middle/inner")
    for place in ("", "/outer", "/outer/middle", "/outer/middle/inner"):
        quota = "300000" if place == level else "900000"
        system.write(f"sys/fs/cgroup{place}/cpu.max", f"{quota} 100000\n")
    system.write("sys/fs/cgroup/outer/other/cpu.max", "100000 100000\n")
    assert system.cores() == 3


@pytest.mark.parametrize(
    ("group", "root"),
    [("/", "/"), ("/docker/abc", "/docker/abc"), ("/docker/abc", "/"), ("/../abc", "/x")],
    ids=["own namespace", "the host's path", "not that deep", "outside"],
)
def test_in_a_container_the_mounted_group_counts(group: str, root: str, tmp_path: Path) -> None:
    system = first_version(tmp_path, group, root)
    system.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "400000\n")
    system.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert system.cores() == 4


def test_a_mount_point_with_a_space_is_found(tmp_path: Path) -> None:
    mount = UNIFIED.format(root="/", point=r"/sys/my\040groups")
    system = FakeSystem(tmp_path, [mount], "0::/a\n")
    system.write("sys/my groups/a/cpu.max", "500000 100000\n")
    assert system.cores() == 5


def test_no_groups_and_broken_files_are_no_limit(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == 64
    broken = FakeSystem(tmp_path, ["- -", " - cgroup", "a b c d e - cgroup2 x"], ":\n\n0\n7:cpu\n")
    assert broken.cores() == 64


def test_groups_of_another_controller_are_told_apart(tmp_path: Path) -> None:
    first_version(tmp_path, "/job")
    found = group_folders("memory", tmp_path)
    base = tmp_path / "sys/fs/cgroup/memory"
    assert found == [base / "elsewhere", base]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_a_process_that_is_bound_to_one_core_uses_one_c14() -> None:
    code = (
        "import os; core = min(os.sched_getaffinity(0)); os.sched_setaffinity(0, {core});"
        "from model.system.cores import usable_cores; import tui.cli.main, torch;"
        "print(usable_cores(), torch.get_num_threads(), os.environ['OMP_NUM_THREADS'])"
    )
    surroundings = {
        name: value for name, value in environment().items() if name != "OMP_NUM_THREADS"
    }
    told = subprocess.run(
        [sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["1", "1", "1"]


def test_nothing_else_counts_cores_c14() -> None:
    counting = re.compile(r"cpu_count|sched_getaffinity|_num_procs|nproc")
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("corpus", "model", "tui")
        for path in (ROOT / package).rglob("*.py")
        if counting.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"model/system/cores.py"}
