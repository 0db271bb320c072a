"""What a disk may hold after a power cut: a small model of files, folders and what was synced.

A file's bytes are certain from its last fsync on; before that, they may all be there, be missing,
or be zeros of the right length. A name (made, renamed, removed) is certain from the folder's next
fsync on; before that, any of the changes since the last one may have happened or not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["create", "write", "sync", "rename", "sync folder", "unlink", "begin", "end"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a program asked of the file system; ``begin`` and ``end`` bracket a save."""

    kind: Kind
    name: str = ""
    data: bytes = b""
    to: str = ""


Names = dict[str, int]
"""Which file each name means."""


@dataclass(slots=True)
class CrashDisk:
    """One folder, as the program sees it and as the disk does."""

    written: dict[int, bytes] = field(default_factory=dict)
    synced: dict[int, bytes] = field(default_factory=dict)
    seen: Names = field(default_factory=dict)
    durable: Names = field(default_factory=dict)
    pending: list[Operation] = field(default_factory=list)
    """Changes of names since the folder was synced."""
    _files: int = 0

    def do(self, operation: Operation) -> None:
        """Takes one operation."""
        match operation.kind:
            case "create":
                self._files += 1
                self.written[self._files] = b""
                self.seen[operation.name] = self._files
                self.pending.append(operation)
            case "write":
                self.written[self.seen[operation.name]] += operation.data
            case "sync":
                file = self.seen[operation.name]
                self.synced[file] = self.written[file]
            case "rename" | "unlink":
                self.pending.append(operation)
                file = self.seen.pop(operation.name)
                if operation.kind == "rename":
                    self.seen[operation.to] = file
            case "sync folder":
                self.durable = dict(self.seen)
                self.pending.clear()
            case _:
                pass

    def states(self) -> Iterator[dict[str, bytes]]:
        """Yields each content that the folder may have if the power is cut now."""
        for count in range(len(self.pending) + 1):
            for happened in itertools.combinations(self.pending, count):
                names = self._names(happened)
                if names is not None:
                    yield from self._contents(names)

    def _names(self, happened: Sequence[Operation]) -> Names | None:
        """Returns the names after some of the changes; None where they make no sense together."""
        names, made = dict(self.durable), self._made()
        for operation in happened:
            if operation.kind == "create":
                names[operation.name] = made[operation.name]
            elif operation.name not in names:
                return None
            else:
                file = names.pop(operation.name)
                if operation.kind == "rename":
                    names[operation.to] = file
        return names

    def _made(self) -> Names:
        """Returns the files that the pending changes made, under their first names."""
        made: Names = {}
        first = self._files - sum(operation.kind == "create" for operation in self.pending)
        for operation in self.pending:
            if operation.kind == "create":
                first += 1
                made[operation.name] = first
        return made

    def _contents(self, names: Names) -> Iterator[dict[str, bytes]]:
        """Yields each content of the files; at most one of them is unsynced in what we test."""
        unsure = [n for n, file in names.items() if self.synced.get(file) != self.written[file]]
        sure = {name: self.written[file] for name, file in names.items() if name not in unsure}
        if not unsure:
            yield sure
            return
        for damage in ("kept", "dropped", "zeroed", "half"):
            contents = dict(sure)
            for name in unsure:
                file = names[name]
                whole, safe = self.written[file], self.synced.get(file, b"")
                contents[name] = {
                    "kept": whole,
                    "dropped": safe,
                    "zeroed": safe + bytes(len(whole) - len(safe)),
                    "half": whole[: (len(safe) + len(whole)) // 2],
                }[damage]
            yield contents
