"""Collective operations of the processes that train one model together. PyTorch.

Rank 0 leads. Before each piece of work it broadcasts an `Instruction`, which every process executes
on its part of the batch. A training in one process uses the same class without communication.
All processes add tensors in the group's order, so their sums have the same bits.
Letters: L layers, B batch, H hidden.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Self

import torch
from torch import Tensor
from torch import distributed as dist

from model.distributed.rank import ProcessRank
from model.errors import RankLost

MAX_WAIT = timedelta(minutes=30)
"""Timeout of a collective operation. It is long because followers wait while the leader reads a
long text; a process that died is detected immediately."""
HEARTBEAT_SECONDS = 1.0
"""Interval in which the leader sends ``WAIT`` while the followers wait for it, seconds."""


class Instruction(IntEnum):
    """The leader's instruction to all processes."""

    JOIN = 1
    """Receive the run's settings, weights and position in the text."""
    STEP = 2
    """Make an optimiser step; the value is the training time so far, in seconds."""
    GATHER = 3
    """Send the carried state to the leader for a checkpoint."""
    WAIT = 4
    """Wait for another instruction."""
    END = 5
    """End the process; the value is the exit status."""
    STUDENT = 6
    """Begin a student; the value is the training time so far, in seconds."""
    TEACH = 7
    """Find what a student learns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The instruction and the signal that all processes agree on after a broadcast."""

    instruction: Instruction
    value: float
    signal: int
    """Number of the signal that asked one of the processes to end; 0 if none was received."""


class ProcessGroup:
    """The group of processes of one training, seen from one of them."""

    def __init__(self, place: ProcessRank, group: dist.ProcessGroup | None) -> None:
        """Wraps an open PyTorch group; None for a training in one process."""
        self.place = place
        self._group = group
        self._exchanged: Tensor | None = None
        self._flat = torch.empty(0)

    @classmethod
    def join(cls, place: ProcessRank) -> ProcessGroup:
        """Joins the other processes at the address in MASTER_ADDR and MASTER_PORT.

        Raises:
            RankLost: the other processes could not be reached.
        """
        if place.size == 1:
            return cls(place, None)
        cuda = torch.cuda.is_available() and dist.is_nccl_available()
        if cuda:
            torch.cuda.set_device(place.local_rank % torch.cuda.device_count())
        with _translate_errors(place, "cannot reach the other processes"):
            dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=MAX_WAIT)
        return cls(place, dist.group.WORLD)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Destroys the group; no collective operation is possible afterwards."""
        if self._group is not None:
            self._wait_for_own_threads()
            # The group's threads end with the last reference to the group. Threads that outlive the
            # interpreter abort the process (seen in half of all exits with PyTorch 2.13).
            self._group = None
            dist.destroy_process_group()

    def _wait_for_own_threads(self) -> None:
        """Waits until the group's threads have released the last exchanged tensor.

        A thread needs the GIL to release it. ``destroy_process_group`` waits for the threads while
        it holds the GIL, which is a deadlock (seen with PyTorch 2.13).
        """
        deadline = time.monotonic() + HEARTBEAT_SECONDS
        while self._exchanged is not None and self._exchanged._use_count() > 1:  # type: ignore[attr-defined]  # noqa: SLF001
            if time.monotonic() > deadline:
                break
            time.sleep(0.001)

    def broadcast_instruction(
        self, instruction: Instruction | None = None, value: float = 0.0, signal: int = 0
    ) -> Agreement:
        """Broadcasts the leader's instruction, together with a signal that any process received.

        Args:
            instruction: the instruction in the leader; None in a follower.
            value: value that belongs to the instruction.
            signal: number of a signal that this process received; 0 if none.

        Raises:
            RankLost: another process ended or cannot be reached.
        """
        if self._group is None:
            assert instruction is not None, "a process alone leads"
            return Agreement(instruction=instruction, value=value, signal=signal)
        # MAX-reduce: followers contribute -inf to the leader's fields, so the leader's values win.
        silent = float("-inf")
        words = [silent, silent] if instruction is None else [float(instruction), value]
        vote = torch.tensor([*words, float(signal)], dtype=torch.float64)
        options = dist.AllreduceOptions()
        options.reduceOp = dist.ReduceOp(dist.ReduceOp.MAX)
        self._exchanged = vote
        with self._collective():
            self._group.allreduce([vote], options).wait()
        return Agreement(
            instruction=Instruction(int(vote[0])), value=float(vote[1]), signal=int(vote[2])
        )

    def all_reduce(self, tensor: Tensor) -> None:
        """Replaces ``tensor`` by its sum over all processes, with the same bits in each process.

        Raises:
            RankLost: another process ended or cannot be reached.
        """
        if self._group is None:
            return
        summed = tensor if tensor.device.type in {"cpu", "cuda"} else tensor.cpu()
        self._exchanged = summed
        with self._collective():
            self._group.allreduce([summed]).wait()
        if summed is not tensor:
            tensor.copy_(summed)

    def all_reduce_many(self, pieces: list[Tensor]) -> Tensor:
        """Returns the concatenated sums over all processes; the next call overwrites the result.

        Args:
            pieces: one-dimensional float32 tensors of the same lengths in every call and process.

        Raises:
            RankLost: another process ended or cannot be reached.
        """
        if not len(self._flat):
            self._flat = pieces[0].new_empty(sum(map(len, pieces)))
        torch.cat(pieces, out=self._flat)
        self.all_reduce(self._flat)
        return self._flat

    def broadcast_bytes(self, data: bytes | None) -> bytes:
        """Broadcasts bytes from the leader and returns them in every process.

        Args:
            data: the bytes in the leader; None in a follower.

        Raises:
            RankLost: another process ended or cannot be reached.
        """
        if self._group is None:
            assert data is not None, "a process alone leads"
            return data
        length = torch.tensor([0 if data is None else len(data)])
        self.all_reduce(length)
        content = torch.empty(int(length), dtype=torch.uint8)
        if data is not None:
            content = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        options = dist.BroadcastOptions()
        options.rootRank = 0
        self._exchanged = content
        with self._collective():
            self._group.broadcast([content], options).wait()
        return content.numpy().tobytes()

    def all_gather(self, part: Tensor, streams: int) -> Tensor:
        """Gathers a state from all processes and returns it, [L, B, H].

        Args:
            part: [L, streams of this process, H].
            streams: B, number of streams of all processes.

        Raises:
            RankLost: another process ended or cannot be reached.
        """
        if self._group is None:
            return part
        gathered = part.new_zeros((part.shape[0], streams, part.shape[2]))
        gathered[:, self.place.share(streams)] = part
        self.all_reduce(gathered)
        return gathered

    def _collective(self) -> AbstractContextManager[None]:
        return _translate_errors(self.place, "lost another process of this training")


@contextmanager
def _translate_errors(place: ProcessRank, reason: str) -> Iterator[None]:
    """Translates the group's errors about a lost process into `RankLost`."""
    try:
        yield
    except RuntimeError as error:
        raise RankLost(
            f"process {place.rank} of {place.size}",
            reason,
            "see what ended it; --resume goes on from the last checkpoint",
        ) from error


ALONE = ProcessGroup(ProcessRank(), None)
"""The group of a training in one process."""
