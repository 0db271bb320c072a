"""How ``train`` reports on a terminal: lines that stay, and a progress bar below."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from model.events import (
    CheckpointSaved,
    Event,
    Planned,
    Preparing,
    SaveFailed,
    StepFinished,
    Validated,
)
from tui.console.reporters import Reporter, sentence
from tui.sanitise import one_line, printable


class ProgressReporter(Reporter):
    """Prints sentences above a bar with the training loss and the speed."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(markup=False, highlight=False),
            refresh_per_second=4,
        )
        self._task = self._progress.add_task("preparing", total=None)
        self._plan: Planned | None = None
        self._loss: float | None = None
        self._unsaved = ""
        """Shown before the bar from a failed save until a checkpoint is saved."""

    def __enter__(self) -> Self:
        """Shows the bar."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves the bar where it stands."""
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Moves the bar, or prints the event's sentence above it."""
        if isinstance(event, SaveFailed):
            self._unsaved = "NOT SAVED  "
        elif isinstance(event, CheckpointSaved):
            self._unsaved = ""
        if isinstance(event, Planned):
            self._plan = event
            total = event.planned_seconds if event.planned_steps is None else event.planned_steps
            self._progress.update(self._task, total=total)
        elif isinstance(event, StepFinished):
            self._step(event)
        elif isinstance(event, Preparing):
            total = None if event.fraction is None else 1.0
            self._progress.update(
                self._task,
                description=one_line(event.stage, 60),
                total=total,
                completed=event.fraction or 0.0,
            )
        else:
            line = sentence(event, self._loss if isinstance(event, Validated) else None)
            if line is not None:
                self._progress.console.print(printable(line), markup=False, soft_wrap=True)

    def _step(self, event: StepFinished) -> None:
        self._loss = event.loss
        by_steps = self._plan is not None and self._plan.planned_steps is not None
        self._progress.update(
            self._task,
            completed=event.step if by_steps else event.time,
            description=(
                f"{self._unsaved}epoch {event.epoch}  train {event.loss:.3f}  "
                f"{event.characters_per_second / 1000:,.0f}k characters/s"
            ),
        )
