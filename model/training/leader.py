"""The first process of a training that several share, towards the others. PyTorch.

What it says, they do (`model.training.follower`); a process alone says it to nobody.
"""

from __future__ import annotations

from model.distributed.process_group import HEARTBEAT_SECONDS, Instruction, ProcessGroup
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_file import checkpoint_bytes
from model.timing import Clock
from model.training.controls import TrainingControls


class Leader:
    """Says what is done next, and hears of signals that the others were sent."""

    def __init__(self, ranks: ProcessGroup, controls: TrainingControls, clock: Clock) -> None:
        """Says nothing yet.

        Args:
            ranks: the processes.
            controls: are told to stop where another process was sent a signal.
            clock: monotonic seconds.
        """
        self.ranks = ranks
        self._controls = controls
        self._clock = clock
        self._last_sign = 0.0

    @property
    def processes(self) -> int:
        """How many there are, this one included."""
        return self.ranks.place.size

    def say(self, order: Instruction, value: float = 0.0) -> None:
        """Meets the others for an order.

        Raises:
            RankLost: one of them is gone.
        """
        signal = self.ranks.broadcast_instruction(order, value, self._controls.signal).signal
        if signal and not self._controls.signal:
            self._controls.stop(hurry=True, signal=signal)

    def hand_over(self, start: Checkpoint) -> None:
        """Hands the run to the others; returns when they are ready.

        Raises:
            RankLost: one of them is gone.
        """
        self.say(Instruction.JOIN)
        self.ranks.broadcast_bytes(checkpoint_bytes(start))
        self.say(Instruction.WAIT)

    def is_hurried(self) -> bool:
        """Whether to leave long work that is this process's alone; shows that it lives, meanwhile.

        Raises:
            RankLost: one of the others is gone.
        """
        if self.processes > 1:
            now = self._clock()
            if now - self._last_sign >= HEARTBEAT_SECONDS:
                self._last_sign = now
                self.say(Instruction.WAIT)
        return self._controls.hurried

    def note(self, processes_before: int | None) -> list[str]:
        """Returns what there is to say of a run that another number of processes trained before."""
        if processes_before in {None, self.processes}:
            return []
        counts = f"by {processes_before} processes and now by {self.processes}"
        words = f"the run was trained {counts}; it goes on from the same place, but not bit for bit"
        return [f"{words}: sums are rounded in another order"]
