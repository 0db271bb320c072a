"""The validation losses of a run: the last one, the best one, and the weights that reached it."""

from __future__ import annotations

import contextlib

from model.errors import CheckpointError
from model.network.snapshot import WeightSnapshot
from model.runs.checkpoint import CheckpointMetadata
from model.runs.checkpoint_store import CheckpointStore, best_first
from model.training.trainer import Trainer
from model.training.validation import Validation

MAX_EXCESS_NATS = 0.5
"""Nats above the best validation from which weights are no longer worth a roll-back to them."""
MAX_LOST_VALIDATIONS = 2
"""Validations in a row with lost parts after which the user is warned, once."""
ENOUGH_PROGRESS = 0.25
"""Part of the plan without a better validation after which more training is of no use."""
ENOUGH_SECONDS = 20.0
"""Seconds of training without one, at least; shorter runs are not judged."""


class Best:
    """Records validations and keeps the best weights in memory."""

    def __init__(self) -> None:
        """Starts without a validation."""
        self.nats: float | None = None
        """Lowest validation loss of the run, in nats per character; None before the first."""
        self.snapshot: WeightSnapshot | None = None
        """Weights that reached it in this session; None if no validation of it did."""
        self.last: tuple[int, float] | None = None
        """Step and nats per character of the last validation."""
        self._lost_in_a_row = 0
        self._best_at: tuple[float, float] | None = None
        """Progress and seconds of training at the best validation, or the first of a session."""
        self._now: tuple[float, float] | None = None
        """Progress and seconds of training at the last validation."""
        self._has_said_so = False
        self._of_student: float | None = None
        """Lowest loss of a student; None before its first validation."""
        self._has_student = False

    def begin_student(self) -> None:
        """Judges from now on another network, which learns from the best weights so far."""
        self._has_student, self._of_student = True, None
        self._best_at = self._now = None

    @property
    def teacher_leads(self) -> bool:
        """Whether a student is trained, and its teacher is still the better one."""
        behind = self._of_student is None or self._of_student > (self.nats or 0)
        return self._has_student and self.nats is not None and behind

    def teacher(self, store: CheckpointStore) -> WeightSnapshot | None:
        """Returns the weights of a student's teacher while they are the better ones, or None."""
        return self.weights(store) if self.teacher_leads else None

    def restore(
        self, metadata: CheckpointMetadata, store: CheckpointStore, *, student_since: int | None
    ) -> None:
        """Continues from a checkpoint of the same run on the same text.

        Args:
            metadata: of the checkpoint.
            store: all checkpoints of the run.
            student_since: steps before those of the student that is trained; None for none.
        """
        self.nats = metadata.best_nats_per_character
        if metadata.nats_per_character is not None:
            self.last = (metadata.step, metadata.nats_per_character)
        if student_since is not None:
            self._has_student, self._of_student = True, metadata.nats_per_character
            best = next(iter(best_first(store.saved(lambda _: None))), None)
            if best is not None and best.metadata.step > student_since:
                self._of_student = self.nats

    def weights(self, store: CheckpointStore) -> WeightSnapshot | None:
        """Returns the best weights, from memory or else from the run's folder; None without any."""
        if self.snapshot is None and self.nats is not None:
            with contextlib.suppress(CheckpointError):
                return store.load_best(lambda _: None).snapshot()
        return self.snapshot

    def nats_at(self, step: int) -> float | None:
        """Returns the loss of the weights of ``step``; None if they were not validated."""
        return self.last[1] if self.last is not None and self.last[0] == step else None

    def stays_lost(self, validation: Validation) -> bool:
        """Counts validations with lost parts; tells whether to warn now.

        One such validation is normal in the first seconds, when a network can still recover.
        """
        self._lost_in_a_row = self._lost_in_a_row + 1 if validation.lost else 0
        return self._lost_in_a_row == MAX_LOST_VALIDATIONS

    def has_stopped_falling(self) -> bool:
        """Whether the loss has not fallen for a good part of the plan; true once only."""
        if self._best_at is None or self._now is None or self._has_said_so:
            return False
        (progress, seconds), (progress_now, seconds_now) = self._best_at, self._now
        self._has_said_so = (
            progress_now - progress >= ENOUGH_PROGRESS and seconds_now - seconds >= ENOUGH_SECONDS
        )
        return self._has_said_so

    def record(self, trainer: Trainer, nats: float, seconds: float) -> bool:
        """Records a finite loss of the trainer's weights; returns whether it is the best so far.

        Weights that are good enough become the trainer's roll-back point. ``seconds`` of training
        are behind them.
        """
        self._now = (trainer.schedule.progress(trainer.step_count, seconds), seconds)
        is_best = self.nats is None or nats < self.nats
        gains = self._has_student and (self._of_student is None or nats < self._of_student)
        if gains:
            self._of_student = nats
        if is_best or gains or self._best_at is None:
            self._best_at = self._now
        if is_best:
            self.nats = nats
            self.snapshot = trainer.snapshot()
        if self.nats is not None and nats < self.nats + MAX_EXCESS_NATS:
            trainer.save_rollback_point()
        self.last = (trainer.step_count, nats)
        return is_best
