"""The order in which a save reaches the disk, as strace sees it, and a power cut after each step.

kill -9 says nothing of fsync, for what was written survives it in memory. So the operations that
the system really saw are played on a model of a disk that keeps only what was synced.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import forked
import pytest
import traced_saves
from crash_disk import CrashDisk, Operation

from model.errors import CheckpointError
from model.runs.folder import RunFolder

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

CALLS = (
    "openat,write,pwrite64,writev,ftruncate,fsync,fdatasync,"
    "rename,renameat,renameat2,unlink,unlinkat"
)
SAVES = 6


def traced(folder: Path, copies: Path, saves: int) -> list[str]:
    """Saves in a process of its own and returns what strace says of it, line by line."""
    report = folder.parent / "trace"
    command = ["strace", "-f", "-y", "-e", f"trace={CALLS}", "-o", str(report)]
    done = subprocess.run(
        [*command, sys.executable, traced_saves.__file__, *map(str, (folder, copies, saves))],
        env=forked.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and "ptrace" in done.stderr.lower():
        pytest.skip(f"strace may not trace here: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    return report.read_text(encoding="utf-8", errors="replace").splitlines()


def operations_in(lines: list[str], folder: Path, contents: dict[str, bytes]) -> list[Operation]:
    """Returns what was asked of the file system within `folder`; file names lose their folder.

    The bytes of a write are those of the checkpoint that the temporary file becomes.
    """
    place = re.escape(str(folder))
    patterns: dict[str, re.Pattern[str]] = {
        "create": re.compile(rf'openat\(.*"{place}/([^"]+)", O_RDWR\|O_CREAT\|O_EXCL.* = \d+'),
        "write": re.compile(rf"p?writev?(?:64)?\(\d+<{place}/([^>]+)>.* = (\d+)$"),
        "sync": re.compile(rf"f(?:data)?sync\(\d+<{place}/([^>]+)>\) += 0"),
        "sync folder": re.compile(rf"fsync\(\d+<{place}>\) += 0"),
        "rename": re.compile(rf'rename(?:at2?)?\(.*"{place}/([^"]+)", .*"{place}/([^"]+)".*\) = 0'),
        "unlink": re.compile(rf'unlink(?:at)?\(.*"{place}/([^"]+)".*\) = 0'),
        "begin": re.compile(r'write\(1<.*>, "save (\d+)\\n"'),
        "end": re.compile(r'write\(1<.*>, "saved (\d+)\\n"'),
    }
    renamed = filter(None, map(patterns["rename"].search, lines))
    final_names = {match[1]: match[2] for match in renamed}
    offsets: dict[str, int] = {}
    found: list[Operation] = []
    for line in lines:
        for kind, pattern in patterns.items():
            match = pattern.search(line)
            if match is None or (match.groups() and match[1] == ".lock"):
                continue
            name = match[1] if match.groups() else ""
            if kind == "create":
                offsets[name] = 0
            if kind == "write":
                start, size = offsets[name], int(match[2])
                offsets[name] += size
                data = contents[final_names[name]][start : start + size]
                found.append(Operation("write", name, data))
            else:
                to = match[2] if kind == "rename" else ""
                found.append(Operation(kind, name, to=to))  # type: ignore[arg-type]
            break
    return found


@dataclass(frozen=True, slots=True)
class Traced:
    """What was asked of the file system, and the bytes of each checkpoint."""

    operations: list[Operation]
    contents: dict[str, bytes]


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    folder = RunFolder.create(tmp_path_factory.mktemp("traced"), "run", fallback_name="")
    folder.unlock()
    copies = tmp_path_factory.mktemp("copies")
    lines = traced(folder.path, copies, SAVES)
    contents = {path.name: path.read_bytes() for path in copies.iterdir()}
    return Traced(operations_in(lines, folder.path, contents), contents)


def test_each_save_writes_syncs_renames_and_syncs_the_folder(
    trace: Traced, figure: Callable[[str], None]
) -> None:
    starts = [at for at, operation in enumerate(trace.operations) if operation.kind == "begin"]
    assert len(starts) == SAVES
    for start, end in zip(starts, [*starts[1:], len(trace.operations)], strict=True):
        save = trace.operations[start:end]
        step = save[0].name
        kinds = [operation.kind for operation in save if operation.kind != "unlink"]
        writes = kinds.count("write")
        assert writes > 0
        order = ["begin", "create", *["write"] * writes, "sync", "rename", "sync folder", "end"]
        assert kinds == order, f"save {step}"
        written = b"".join(operation.data for operation in save)
        assert written == trace.contents[f"step-{int(step):08d}.safetensors"]
        unlinked = [at for at, operation in enumerate(save) if operation.kind == "unlink"]
        synced = [at for at, operation in enumerate(save) if operation.kind == "sync folder"]
        assert all(at > synced[0] for at in unlinked), "nothing old goes before the new is durable"
    figure(f"strace: {SAVES} of {SAVES} saves: write, fsync(file), rename, fsync(folder)")


def troubles(operations: list[Operation], folder: Path) -> tuple[list[str], int]:
    """Cuts the power after each operation in every way there is; returns what was lost, and how
    many states that were.

    A checkpoint of which it was said that it is saved must never be lost.
    """
    disk, saved, saving = CrashDisk(), 0, 0
    found: list[str] = []
    states = 0
    for number, operation in enumerate(operations):
        if operation.kind == "begin":
            saving = int(operation.name)
        elif operation.kind == "end":
            saved = int(operation.name)
        disk.do(operation)
        for state in distinct(disk.states()):
            states += 1
            step = loaded_step(folder, state)
            if not saved <= step <= saving:
                found.append(f"after {number} ({operation.kind}): {step} instead of {saved}")
    return found, states


def distinct(states: Iterator[dict[str, bytes]]) -> Iterator[dict[str, bytes]]:
    seen: list[dict[str, bytes]] = []
    for state in states:
        if state not in seen:
            seen.append(state)
            yield state


def loaded_step(folder: Path, state: dict[str, bytes]) -> int:
    """Returns the step of the checkpoint that a start finds; 0 where there is none yet."""
    for path in folder.iterdir():
        path.unlink()
    for name, data in state.items():
        (folder / name).write_bytes(data)
    try:
        return RunFolder(folder).checkpoints.load_latest(lambda _: None).metadata.step
    except CheckpointError:
        return 0


def test_a_power_cut_after_any_step_leaves_the_old_checkpoint_or_the_new(
    trace: Traced, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    found, states = troubles(trace.operations, tmp_path)
    figure(
        f"power cut: {len(trace.operations)} prefixes of what was recorded, {states} states of "
        f"the disk: {len(found)} in which neither the old nor the new checkpoint loads"
    )
    assert found == []
    assert states > len(trace.operations)


@pytest.mark.parametrize("missing", ["sync", "sync folder"])
def test_a_save_without_a_sync_would_be_caught(missing: str, trace: Traced, tmp_path: Path) -> None:
    found, _ = troubles([each for each in trace.operations if each.kind != missing], tmp_path)
    assert found


def test_a_save_that_renames_before_it_syncs_is_safe_only_because_the_old_file_stays(
    trace: Traced, tmp_path: Path
) -> None:
    """The model tells an order from its lack: here the new file is lost, and the old one loads."""
    disk = CrashDisk()
    swapped = list(trace.operations)
    at = [number for number, each in enumerate(swapped) if each.kind == "rename"][1]
    swapped = [*swapped[: at - 1], swapped[at], swapped[at + 1]]
    for operation in swapped:
        disk.do(operation)
    steps = {loaded_step(tmp_path, state) for state in disk.states()}
    assert steps == {1, 2}
