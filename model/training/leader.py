"""The leader's side of a training by several processes. PyTorch.

Followers (`model.training.follower`) carry out the leader's instructions. A process that trains
alone has no followers, and its instructions have no receiver.
"""

from __future__ import annotations

from model.distributed.process_group import HEARTBEAT_SECONDS, Instruction, ProcessGroup
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_file import checkpoint_bytes
from model.timing import Clock
from model.training.controls import TrainingControls


class Leader:
    """Sends instructions to the followers and receives the signals that they were sent."""

    def __init__(self, ranks: ProcessGroup, controls: TrainingControls, clock: Clock) -> None:
        """Sends nothing yet.

        Args:
            ranks: the processes.
            controls: stopped when another process receives a signal.
            clock: monotonic seconds.
        """
        self.ranks = ranks
        self._controls = controls
        self._clock = clock
        self._last_sign = 0.0

    @property
    def processes(self) -> int:
        """Number of processes, including this one."""
        return self.ranks.place.size

    def say(self, instruction: Instruction, value: float = 0.0) -> None:
        """Broadcasts an instruction; stops the controls if another process received a signal.

        Raises:
            RankLost: another process is gone.
        """
        signal = self.ranks.broadcast_instruction(instruction, value, self._controls.signal).signal
        if signal and not self._controls.signal:
            self._controls.stop(hurry=True, signal=signal)

    def hand_over(self, start: Checkpoint) -> None:
        """Broadcasts the run as a checkpoint; returns when all followers are ready.

        Raises:
            RankLost: another process is gone.
        """
        self.say(Instruction.JOIN)
        self.ranks.broadcast_bytes(checkpoint_bytes(start))
        self.say(Instruction.WAIT)

    def is_hurried(self) -> bool:
        """Returns whether to stop long work that only the leader does; sends heartbeats meanwhile.

        Raises:
            RankLost: another process is gone.
        """
        if self.processes > 1:
            now = self._clock()
            if now - self._last_sign >= HEARTBEAT_SECONDS:
                self._last_sign = now
                self.say(Instruction.WAIT)
        return self._controls.hurried

    def note(self, processes_before: int | None) -> list[str]:
        """Returns a warning for the user if another number of processes trained the run before."""
        if processes_before in {None, self.processes}:
            return []
        counts = f"by {processes_before} processes and now by {self.processes}"
        words = f"the run was trained {counts}; it goes on from the same place, but not bit for bit"
        return [f"{words}: sums are rounded in another order"]
