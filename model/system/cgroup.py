"""Finds the Linux control groups (cgroups) of this process, and reads their limits.

Version 1 has one tree of folders per controller; version 2 has a single tree. A system may have
both.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SYSTEM = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mount:
    """A mounted tree of control groups."""

    root: PurePosixPath
    """The group at the mount point. In a container, it may be below the root group."""
    point: PurePosixPath
    controllers: frozenset[str]
    """Controllers of a version 1 tree; empty for version 2."""


def group_folders(controller: str, system: Path = SYSTEM) -> list[Path]:
    """Returns the folders of this process's control group and of the groups above it.

    A group's limit applies to all groups below it. The list is empty if the system has no groups.

    Args:
        controller: the name of a controller, such as ``cpu`` or ``memory``.
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
    """Returns the numbers in a group's file; empty if it is missing or holds no limit ("max")."""
    words = [word for line in _lines(path) for word in line.split()]
    are_numbers = all(re.fullmatch(r"-?\d{1,20}", word, re.ASCII) for word in words)
    return [int(word) for word in words] if are_numbers else []


def _is_tree_of(mount: _Mount, controller: str, controllers: frozenset[str]) -> bool:
    return controller in mount.controllers if controllers else not mount.controllers


def _upwards(path: str, mount: _Mount) -> list[PurePosixPath]:
    """Returns a group's folder and its parents up to the mount point."""
    group = PurePosixPath(os.path.normpath(path))
    relative = group.relative_to(mount.root) if group.is_relative_to(mount.root) else "."
    folder = mount.point / relative
    return [folder, *(above for above in folder.parents if above.is_relative_to(mount.point))]


def _mount(line: str) -> _Mount | None:
    """Parses a line of ``mountinfo`` (see proc_pid_mountinfo(5)); None if it is no cgroup mount."""
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
    r"""Decodes the octal escapes of a name: ``\040`` is a space, ``\012`` a line feed."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), name)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
