"""The control groups that Linux has put this process in: where their limits are read. Pure.

Version 1 has a tree of folders for each controller, version 2 one for all; a system may have both.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SYSTEM = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mount:
    """A tree of groups as the file system shows it."""

    root: PurePosixPath
    """The group that the mount point shows: in a container it need not be the topmost one."""
    point: PurePosixPath
    controllers: frozenset[str]
    """Of version 1; empty: version 2."""


def group_folders(controller: str, system: Path = SYSTEM) -> list[Path]:
    """Returns the folders of the control groups of this process, from its own one upwards.

    Each group's limit holds for all below it. There are none where the system has no groups.

    Args:
        controller: such as ``cpu`` or ``memory``.
        system: the folder that holds ``proc`` and ``sys``.
    """
    folders: list[Path] = []
    mounts = [_mount(line) for line in _lines(system / "proc/self/mountinfo")]
    for line in _lines(system / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        controllers = frozenset(filter(None, names.split(",")))
        if controllers and controller not in controllers:
            continue
        for mount in mounts:
            if mount is not None and _is_tree_of(mount, controller, controllers):
                folders += [system / str(place)[1:] for place in _upwards(path, mount)]
                break
    return folders


def numbers_in(path: Path) -> list[int]:
    """Returns the numbers in a group's file; none if it is missing or has no limit ("max")."""
    words = [word for line in _lines(path) for word in line.split()]
    are_numbers = all(re.fullmatch(r"-?\d{1,20}", word, re.ASCII) for word in words)
    return [int(word) for word in words] if are_numbers else []


def _is_tree_of(mount: _Mount, controller: str, controllers: frozenset[str]) -> bool:
    return controller in mount.controllers if controllers else not mount.controllers


def _upwards(path: str, mount: _Mount) -> list[PurePosixPath]:
    """Returns a group's folder and those above it that the mount shows."""
    group = PurePosixPath(os.path.normpath(path))
    below = group.relative_to(mount.root) if group.is_relative_to(mount.root) else "."
    folder = mount.point / below
    return [folder, *(above for above in folder.parents if above.is_relative_to(mount.point))]


def _mount(line: str) -> _Mount | None:
    """Returns what a line of ``mountinfo`` says of groups; see proc_pid_mountinfo(5)."""
    of_the_mount, _, of_the_system = line.partition(" - ")
    fields, system = of_the_mount.split(" "), of_the_system.split(" ")
    if len(fields) < 5 or len(system) < 3 or system[0] not in {"cgroup", "cgroup2"}:
        return None
    return _Mount(
        root=PurePosixPath(_plain(fields[3])),
        point=PurePosixPath(_plain(fields[4])),
        controllers=frozenset(system[2].split(",")) if system[0] == "cgroup" else frozenset(),
    )


def _plain(name: str) -> str:
    r"""Returns a name with its spaces and line feeds, which are written ``\040`` and ``\012``."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), name)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
