"""How ``train`` reports: JSON lines for programs, plain lines for files and pipes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self, TextIO

from corpus.counted import counted
from model.events import (
    CheckpointSaved,
    Event,
    Finished,
    Preparing,
    RecordedEvent,
    RunStarted,
    StepFinished,
    Validated,
    WarningRaised,
    to_json_line,
)
from model.events.recorded import STUDENT_BEGINS
from tui.console.output import json_for
from tui.sanitise import one_line, printable

SECONDS_BETWEEN_LINES = 10.0


class Reporter:
    """Prints nothing; the base of all reporters."""

    def __enter__(self) -> Self:
        """Begins."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends."""

    def record(self, event: RecordedEvent) -> None:
        """Reports an event that was written to ``metrics.jsonl``."""

    def show(self, event: Event) -> None:
        """Reports any event."""


class LastingReporter(Reporter):
    """Forwards to another reporter until that one cannot write, which is not an error here.

    The training must still save a checkpoint if a reader closes a pipe, a disk is full, or a
    terminal closes.
    """

    def __init__(self, reporter: Reporter, gone: Callable[[], None]) -> None:
        """Remembers the reporter, and a function to call once when it can no longer write."""
        self._reporter = reporter
        self._gone = gone
        self.failure: OSError | None = None
        """Why the reporter can no longer write; None while it can."""

    def __enter__(self) -> Self:
        """Begins."""
        self._attempt(self._reporter.__enter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the reporter, even after a failure, because it may have a thread."""
        try:
            self._reporter.__exit__(kind, error, trace)
        except OSError as failure:
            self._fail(failure)

    def record(self, event: RecordedEvent) -> None:
        """Hands on."""
        self._attempt(partial(self._reporter.record, event))

    def show(self, event: Event) -> None:
        """Hands on."""
        self._attempt(partial(self._reporter.show, event))

    def _attempt(self, report: Callable[[], object]) -> None:
        if self.failure is None:
            try:
                report()
            except OSError as failure:
                self._fail(failure)

    def _fail(self, failure: OSError) -> None:
        if self.failure is None:
            self.failure = failure
            self._gone()


class _PipeReporter(Reporter):
    """Prints lines to a file or a pipe, at once."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def _print(self, line: str) -> None:
        self._output.write(line + "\n")
        self._output.flush()


class JsonReporter(_PipeReporter):
    """Prints what ``metrics.jsonl`` holds, line by line, at once."""

    def record(self, event: RecordedEvent) -> None:
        """Prints the event."""
        self._print(json_for(self._output, to_json_line(event)))


class LineReporter(_PipeReporter):
    """Prints a sentence for what matters, and the training loss every ten seconds."""

    def __init__(self, output: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(output)
        self._last_step_line = 0.0
        self._loss: float | None = None
        self._stage = ""
        self._last_stage_line = 0.0
        self._clock = clock

    def show(self, event: Event) -> None:
        """Prints the event's line, if it has one."""
        line = None
        if isinstance(event, StepFinished):
            self._loss = event.loss
            if event.time - self._last_step_line >= SECONDS_BETWEEN_LINES:
                self._last_step_line = event.time
                line = (
                    f"step {event.step:,}  epoch {event.epoch}  train {event.loss:.4f}  "
                    f"{event.characters_per_second:,.0f} characters/s"
                )
        elif not isinstance(event, Preparing) or self._is_news(event):
            line = sentence(event, self._loss)
        if line is not None:
            self._print(printable(line))

    def _is_news(self, event: Preparing) -> bool:
        """Whether a stage is new, or has gone on for ten more seconds."""
        now = self._clock()
        if event.stage == self._stage and now - self._last_stage_line < SECONDS_BETWEEN_LINES:
            return False
        self._stage, self._last_stage_line = event.stage, now
        return True


def sentence(event: Event, training_loss: float | None = None) -> str | None:
    """Returns an event in words; None for events that are not worth a line."""
    match event:
        case Preparing():
            done = "" if event.fraction is None else f" {event.fraction:.0%}"
            return f"{event.stage} ...{done}"
        case RunStarted():
            named = f"{event.preset}, {event.network}" if event.network else event.preset
            plan = f"plan: {event.plan}" if event.plan else named
            return (
                f"run {event.run}: {event.corpus}, {event.characters:,} characters, "
                f"{event.vocabulary} distinct; {plan}, {event.parameters:,} parameters, "
                f"{event.device} {event.precision}, {counted(event.threads, 'thread')}, "
                f"seed {event.seed}"
            )
        case Validated():
            train = "" if training_loss is None else f"train {training_loss:.4f}  "
            return (
                f"step {event.step:,}  epoch {event.epoch}  {train}validation "
                f"{event.nats_per_character:.4f} nats, {event.bits_per_character:.3f} bits"
                f"{'  best' if event.best else ''}  ({event.time:.0f} s)"
            )
        case CheckpointSaved():
            return f"saved {event.path}"
        case WarningRaised():
            line = one_line(event.text, 400)
            return line if event.text == STUDENT_BEGINS else f"warning: {line}"
        case Finished():
            best = event.best_nats_per_character
            figures = "no validation" if best is None else f"best validation {best:.4f} nats"
            rate = event.characters_per_second  # 0 if the run had reached its end before
            speed = f", {rate:,.0f} characters/s" if rate else ""
            return (
                f"{event.reason} after step {event.step:,} and {event.seconds:.0f} s: "
                f"{figures}{speed}"
            )
        case _:
            return None
