"""``charlm-tui train``: the engine without a screen.

It prints a progress bar on a terminal, plain lines elsewhere, and JSON lines with ``--json``. The
training runs in the main thread. If ``torchrun`` started several processes, only the first prints.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from corpus import UserError
from model.distributed.rank import ProcessRank, rank_from_environment
from model.errors import ConfigError, RankLost, TrainingDiverged
from model.events import RunStarted
from model.runs.request import RunRequest
from model.system.torch_import import require_torch
from model.training.controls import TrainingControls
from tui.cli.options import json_option, training_options
from tui.cli.request import require_there, run_request
from tui.console.exit_status import FILE_SYSTEM, SIGNAL, complain, status_of
from tui.console.reporters import JsonReporter, LastingReporter, LineReporter, Reporter
from tui.terminal.ending_signals import ending_signals

if TYPE_CHECKING:
    from model.distributed.process_group import ProcessGroup


class SignalStop:
    """Turns the first signal into a request to stop; before training has begun, into an exit."""

    def __init__(self, controls: TrainingControls) -> None:
        self._controls = controls
        self.received: int | None = None
        self.training_began = False

    def install(self) -> None:
        """Handles the signals that end a program, except those that are ignored."""
        for number in ending_signals():
            signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            return
        self._controls.stop(hurry=True, signal=number)
        if not self.training_began:
            # A compiler's callback may swallow the exception; then the request above still holds.
            raise SystemExit(SIGNAL + number)
        self.received = number


@click.command()
@click.argument("corpus", required=False)
@training_options
@json_option
def train(corpus: str | None, *, as_json: bool, **options: Any) -> int:
    """Train on CORPUS without a screen.

    Ctrl-C saves and stops. Without CORPUS it trains on the embedded text.
    """
    place = rank_from_environment(os.environ)
    request = replace(run_request(corpus, options), processes=place.size)
    controls = TrainingControls()
    signals = SignalStop(controls)
    signals.install()
    if place.size > 1:
        return _train_together(request, controls, signals, place, as_json=as_json)
    return _train(request, controls, signals, as_json=as_json)


def _train(
    request: RunRequest,
    controls: TrainingControls,
    signals: SignalStop,
    ranks: ProcessGroup | None = None,
    *,
    as_json: bool,
) -> int:
    """Trains as the only or the leading process, and reports the events."""
    require_there(request)
    require_torch()
    from model.distributed.process_group import ALONE  # noqa: PLC0415 - torch takes two seconds
    from model.training.training_run import TrainingRun  # noqa: PLC0415

    reporter = LastingReporter(_reporter(as_json=as_json), gone=lambda: controls.stop(hurry=True))
    run = TrainingRun(request, controls, on_record=reporter.record, ranks=ranks or ALONE)
    with reporter:
        for event in run.events():
            signals.training_began = signals.training_began or isinstance(event, RunStarted)
            reporter.show(event)
    if run.save_failure is not None:
        complain(f"{run.save_failure}; the steps after the last checkpoint are lost")
    if controls.signal:
        return SIGNAL + controls.signal
    if reporter.failure is not None:
        raise reporter.failure
    return 0 if run.save_failure is None else FILE_SYSTEM


def _train_together(
    request: RunRequest,
    controls: TrainingControls,
    signals: SignalStop,
    place: ProcessRank,
    *,
    as_json: bool,
) -> int:
    """Trains as one of several processes; one signal ends them all."""
    if request.corpus == "-":
        raise ConfigError("-", "several processes cannot read standard input", "name a file")
    require_torch()
    from model.distributed.process_group import ProcessGroup  # noqa: PLC0415 - torch takes two seconds

    with ProcessGroup.join(place) as ranks:
        if place.leads:
            return _lead(request, controls, signals, ranks, as_json=as_json)
        return _follow(request, controls, signals, ranks)


def _lead(
    request: RunRequest,
    controls: TrainingControls,
    signals: SignalStop,
    ranks: ProcessGroup,
    *,
    as_json: bool,
) -> int:
    """Trains as the leading process, and ends the followers if no training begins."""
    from model.distributed.process_group import Instruction  # noqa: PLC0415 - torch takes two seconds

    try:
        status = _train(request, controls, signals, ranks, as_json=as_json)
    except UserError as error:
        # The followers cannot see this error, so the leader ends them before they open the run.
        if not (signals.training_began or isinstance(error, RankLost)):
            ranks.broadcast_instruction(Instruction.END, status_of(error))
        raise
    if not signals.training_began:
        ranks.broadcast_instruction(Instruction.END, status)
    return status


def _follow(
    request: RunRequest, controls: TrainingControls, signals: SignalStop, ranks: ProcessGroup
) -> int:
    """Trains as a follower; prints only errors of this process."""
    from model.training.follower import Follower  # noqa: PLC0415 - torch takes two seconds

    follower = Follower(request, controls, ranks)
    status = follower.join()
    if status is not None:
        return status
    signals.training_began = True
    try:
        number = follower.work()
    except TrainingDiverged as error:
        return status_of(error)  # the first process prints it
    except RankLost:
        if controls.signal:  # the lost process received the same signal
            return SIGNAL + controls.signal
        raise
    return SIGNAL + number if number else 0


def _reporter(*, as_json: bool) -> Reporter:
    if as_json:
        return JsonReporter(sys.stdout)
    if sys.stdout.isatty():
        from tui.console.progress_reporter import ProgressReporter  # noqa: PLC0415 - imports Rich

        return ProgressReporter()
    return LineReporter(sys.stdout)
