"""Sums over the processes of one machine, by way of memory that they share. PyTorch.

A sum by way of the network's loopback copies every number several times, in and out of the kernel;
here each process writes its numbers once and reads those of all.
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
"""Places that each process has: while it writes into one, others may still read the other."""
_BYTES = 4
_PREFIX = "charlm-sums-"
MEMORY_FILES = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")


class SharedMemoryAllReduce:
    """A piece of memory with a place for each process and turn."""

    def __init__(self, memory: mmap.mmap, rank: int, size: int) -> None:
        """Takes memory of `PHASES` times ``size`` places, the same in all processes.

        Args:
            memory: that is shared.
            rank: of this process.
            size: number of processes.
        """
        self._places = torch.frombuffer(memory, dtype=torch.float32).view(PHASES, size, -1)
        self._rank = rank
        self._turn = 0
        self._total = torch.empty(self._places.shape[-1])

    def write(self, pieces: list[Tensor]) -> None:
        """Puts this process's numbers into its place of the next turn; then all must meet."""
        self._turn = (self._turn + 1) % PHASES
        torch.cat(pieces, out=self._places[self._turn, self._rank])

    def total(self) -> Tensor:
        """Returns the sums, the same bits in every process; overwritten by the next ones."""
        first, *others = self._places[self._turn]
        if len(others) == 1:
            return torch.add(first, others[0], out=self._total)
        self._total.copy_(first)
        for other in others:
            self._total.add_(other)
        return self._total


def make_memory(numbers: int, size: int) -> Path | None:
    """Returns a new file in the shared memory with room for all; None where there is none."""
    file = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=_PREFIX, dir=MEMORY)
        file = Path(name)
        try:
            # What is promised but not there would end the process when it is first written to.
            os.posix_fallocate(descriptor, 0, PHASES * size * numbers * _BYTES)
        finally:
            os.close(descriptor)
    except (OSError, AttributeError):
        if file is not None:
            forget(file)
        return None
    return file


def open_memory(file: Path, numbers: int, rank: int, size: int) -> SharedMemoryAllReduce | None:
    """Returns the memory behind a file; None where this process cannot see it."""
    try:
        with file.open("r+b") as stream:
            memory = mmap.mmap(stream.fileno(), PHASES * size * numbers * _BYTES)
    except (OSError, ValueError):
        return None
    return SharedMemoryAllReduce(memory, rank, size)


def forget(file: Path) -> None:
    """Removes the file's name; the memory lives as long as a process has it open."""
    with contextlib.suppress(OSError):
        remove_file(file, MEMORY_FILES)
