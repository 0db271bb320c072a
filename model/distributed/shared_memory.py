"""All-reduce over the processes of one machine in shared memory. PyTorch.

An all-reduce over the loopback network copies every number several times in and out of the kernel.
Here each process writes its numbers once and reads those of all processes.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from corpus.files.removal import remove_file

MEMORY = Path("/dev/shm")  # noqa: S108 - the system's folder of shared memory
PHASES = 2
"""Slots per process: while a process writes one slot, others may still read the other one."""
_BYTES = 4
_PREFIX = "charlm-sums-"
MEMORY_FILES = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")
"""Names of the files that `make_memory` creates; `forget` removes no others."""


class SharedMemoryAllReduce:
    """Adds the numbers of all processes in shared memory with a slot per process and phase."""

    def __init__(self, memory: mmap.mmap, rank: int, size: int) -> None:
        """Divides the memory into `PHASES` times ``size`` slots of equal length.

        Args:
            memory: memory that all processes have mapped.
            rank: rank of this process.
            size: number of processes.
        """
        self._places = torch.frombuffer(memory, dtype=torch.float32).view(PHASES, size, -1)
        self._rank = rank
        self._turn = 0
        self._total = torch.empty(self._places.shape[-1])

    def write(self, pieces: list[Tensor]) -> None:
        """Writes this process's numbers into its slot of the next phase.

        All processes must then pass a barrier before they call ``total``.
        """
        self._turn = (self._turn + 1) % PHASES
        torch.cat(pieces, out=self._places[self._turn, self._rank])

    def total(self) -> Tensor:
        """Returns the sums, with the same bits in every process; the next call overwrites them."""
        first, *others = self._places[self._turn]
        if len(others) == 1:
            return torch.add(first, others[0], out=self._total)
        self._total.copy_(first)
        for other in others:
            self._total.add_(other)
        return self._total


def make_memory(numbers: int, size: int) -> Path | None:
    """Creates a file in shared memory that holds all slots; None if it cannot be created."""
    file = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=_PREFIX, dir=MEMORY)
        file = Path(name)
        try:
            # Allocate all pages now: a write to a page that is not there would kill the process.
            os.posix_fallocate(descriptor, 0, PHASES * size * numbers * _BYTES)
        finally:
            os.close(descriptor)
    except (OSError, AttributeError):
        if file is not None:
            forget(file)
        return None
    return file


def open_memory(file: Path, numbers: int, rank: int, size: int) -> SharedMemoryAllReduce | None:
    """Maps the memory of a file; None if this process cannot open it."""
    try:
        with file.open("r+b") as stream:
            memory = mmap.mmap(stream.fileno(), PHASES * size * numbers * _BYTES)
    except (OSError, ValueError):
        return None
    return SharedMemoryAllReduce(memory, rank, size)


def forget(file: Path) -> None:
    """Removes the name of the file; the memory exists until the last process unmaps it."""
    with contextlib.suppress(OSError):
        remove_file(file, MEMORY_FILES)
