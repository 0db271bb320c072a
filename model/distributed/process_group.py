"""The exchanges between processes that train one model together. PyTorch.

Rank 0 leads. Before each piece of work it broadcasts an `Instruction`, which every process carries
out on its own streams. A training in one process uses the same class, whose exchanges do nothing.
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
from importlib import import_module
from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from torch import distributed as dist

from model.distributed.rank import ProcessRank
from model.distributed.shared_memory import SharedMemoryAllReduce, forget, make_memory, open_memory
from model.errors import RankLost

MAX_WAIT = timedelta(minutes=30)
"""For the others, while the leader reads a long text; one that died is noticed at once."""
HEARTBEAT_SECONDS = 1.0
"""In which the leader shows that it lives while the others wait for it."""


class Instruction(IntEnum):
    """What the leader says is done next."""

    JOIN = 1
    """Take over the run: settings, weights, place in the text."""
    STEP = 2
    """Make an optimiser step; the value is the training time so far, in seconds."""
    GATHER = 3
    """Hand over the carried state, for a checkpoint."""
    WAIT = 4
    """Nothing yet."""
    END = 5
    """End; the value is the exit status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What all processes know after they met."""

    order: Instruction
    value: float
    signal: int
    """Number of the signal that asked one of them to end; 0: none did."""


class ProcessGroup:
    """The processes of a training, as one of them sees them."""

    def __init__(self, place: ProcessRank, group: dist.ProcessGroup | None) -> None:
        """Takes an open group; None for a process alone."""
        self.place = place
        self._group = group
        self._met: Tensor | None = None
        self._flat = torch.empty(0)
        self._shared: SharedMemoryAllReduce | None = None

    @classmethod
    def join(cls, place: ProcessRank) -> ProcessGroup:
        """Meets the other processes where MASTER_ADDR and MASTER_PORT say.

        Raises:
            RankLost: they did not come.
        """
        if place.size == 1:
            return cls(place, None)
        cuda = torch.cuda.is_available() and dist.is_nccl_available()
        if cuda:
            torch.cuda.set_device(place.local_rank % torch.cuda.device_count())
        # Its functions keep the group that is open when they are made, for ever: made now, none.
        # The first optimiser imports it.
        import_module("torch.distributed.nn.functional")

        with _others(place, "does not find the others"):
            dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=MAX_WAIT)
        return cls(place, dist.group.WORLD)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Ends the group, however the training ended; nothing can be exchanged after it."""
        if self._group is not None:
            self._wait_for_own_threads()
            # The group's own threads end with the last reference to it. Those that outlive the
            # interpreter abort the process (seen in half of all ends with PyTorch 2.13).
            self._group = None
            self._shared = None
            dist.destroy_process_group()

    def _wait_for_own_threads(self) -> None:
        """Waits until the group's threads have let go of what was exchanged last.

        They take the interpreter's lock for it, and whoever ends the group waits for them with that
        lock in hand, for ever (seen with PyTorch 2.13).
        """
        deadline = time.monotonic() + HEARTBEAT_SECONDS
        while self._met is not None and self._met._use_count() > 1:  # type: ignore[attr-defined]  # noqa: SLF001
            if time.monotonic() > deadline:
                break
            time.sleep(0.001)

    def broadcast_instruction(
        self, order: Instruction | None = None, value: float = 0.0, signal: int = 0
    ) -> Agreement:
        """Meets the others: returns the leader's order, and a signal that any of them was sent.

        Args:
            order: the leader's; the others give none.
            value: what belongs to it.
            signal: that this process was sent; 0: none.

        Raises:
            RankLost: another process is gone.
        """
        if self._group is None:
            assert order is not None, "a process alone leads"
            return Agreement(order=order, value=value, signal=signal)
        # The largest of each is taken: the others' part in what is the leader's to say is none.
        silent = float("-inf")
        words = [silent, silent] if order is None else [float(order), value]
        vote = torch.tensor([*words, float(signal)], dtype=torch.float64)
        options = dist.AllreduceOptions()
        options.reduceOp = dist.ReduceOp(dist.ReduceOp.MAX)
        self._met = vote
        with self._meeting():
            self._group.allreduce([vote], options).wait()
        return Agreement(order=Instruction(int(vote[0])), value=float(vote[1]), signal=int(vote[2]))

    def all_reduce(self, tensor: Tensor) -> None:
        """Puts the sum over all processes into ``tensor``, the same bits in each.

        Raises:
            RankLost: another process is gone.
        """
        if self._group is None:
            return
        met = tensor if tensor.device.type in {"cpu", "cuda"} else tensor.cpu()
        self._met = met
        with self._meeting():
            self._group.allreduce([met]).wait()
        if met is not tensor:
            tensor.copy_(met)

    def all_reduce_many(self, pieces: list[Tensor]) -> Tensor:
        """Returns the sums over all processes of so many numbers, one after the other.

        Processes of one machine do it in memory that they share. The next call overwrites it.

        Args:
            pieces: one-dimensional, float32, of the same lengths in every call and process.

        Raises:
            RankLost: another process is gone.
        """
        if not len(self._flat):
            numbers = sum(map(len, pieces))
            self._flat = pieces[0].new_empty(numbers)
            if pieces[0].device.type == "cpu" and self.place.local_size == self.place.size > 1:
                self._shared = self._share_memory(numbers)
        if self._shared is None:
            self._flat = torch.cat(pieces, out=self._flat)
            self.all_reduce(self._flat)
            return self._flat
        self._shared.write(pieces)
        self._meet()
        return self._shared.total()

    def _share_memory(self, numbers: int) -> SharedMemoryAllReduce | None:
        """Returns memory that all processes see; None where one of them does not."""
        place = self.place
        made = make_memory(numbers, place.size) if place.leads else None
        told = self.broadcast_bytes(f"={made or ''}".encode() if place.leads else None)
        name = told.decode().removeprefix("=")
        shared = open_memory(Path(name), numbers, place.rank, place.size) if name else None
        seen = torch.tensor([0 if shared is None else 1])
        self.all_reduce(seen)
        if made is not None:
            forget(made)
        return shared if int(seen) == place.size else None

    def _meet(self) -> None:
        """Waits until all processes are here."""
        self.all_reduce(torch.zeros(1))

    def broadcast_bytes(self, data: bytes | None) -> bytes:
        """Returns the leader's bytes in every process; only the leader gives them.

        Raises:
            RankLost: another process is gone.
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
        self._met = content
        with self._meeting():
            self._group.broadcast([content], options).wait()
        return content.numpy().tobytes()

    def all_gather(self, part: Tensor, streams: int) -> Tensor:
        """Returns [L, B, H] of all streams from each process's part of them.

        Args:
            part: [L, own streams, H].
            streams: B.

        Raises:
            RankLost: another process is gone.
        """
        if self._group is None:
            return part
        whole = part.new_zeros((part.shape[0], streams, part.shape[2]))
        whole[:, self.place.share(streams)] = part
        self.all_reduce(whole)
        return whole

    def _meeting(self) -> AbstractContextManager[None]:
        return _others(self.place, "lost another process of this training")


@contextmanager
def _others(place: ProcessRank, trouble: str) -> Iterator[None]:
    """Turns what the group says when a process is gone into one sentence."""
    try:
        yield
    except RuntimeError as error:
        raise RankLost(
            f"process {place.rank} of {place.size}",
            trouble,
            "see what ended it; --resume goes on from the last checkpoint",
        ) from error


ALONE = ProcessGroup(ProcessRank(), None)
"""The one process of a training that is not divided."""
