"""``charlm-tui train``: the engine without a screen.

A progress bar on a terminal, plain lines elsewhere, JSON lines with ``--json``. It runs in the
main thread: there is nobody else to keep waiting.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any

import click

from corpus import resolve_source
from model.controls import TrainingControls
from model.events import RunStarted
from tui.exit_status import FILE_SYSTEM, SIGNAL
from tui.options import json_option, run_request, training_options
from tui.reporters import JsonReporter, LastingReporter, LineReporter, Reporter

ENDING_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class SignalStop:
    """Turns the first signal into a wish to stop; before training has begun, into an exit."""

    def __init__(self, controls: TrainingControls) -> None:
        self._controls = controls
        self.received: int | None = None
        self.training_began = False

    def install(self) -> None:
        """Takes over the signals that end a program, but for those that were told to be ignored."""
        for number in ENDING_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            return
        if not self.training_began:
            raise SystemExit(SIGNAL + number)
        self.received = number
        self._controls.stop(hurry=True)


@click.command()
@click.argument("corpus", required=False)
@training_options
@json_option
def train(corpus: str | None, *, as_json: bool, **options: Any) -> int:
    """Train on CORPUS without a screen; stop it with Ctrl-C and nothing is lost."""
    request = run_request(corpus, options)
    if request.corpus is not None:
        resolve_source(request.corpus, offline=request.offline, options=request.corpus_options)
    controls = TrainingControls()
    signals = SignalStop(controls)
    signals.install()
    from model.training_run import TrainingRun  # noqa: PLC0415 - torch takes two seconds

    reporter = LastingReporter(_reporter(as_json=as_json), gone=lambda: controls.stop(hurry=True))
    run = TrainingRun(request, controls, on_record=reporter.record)
    with reporter:
        for event in run.events():
            signals.training_began = signals.training_began or isinstance(event, RunStarted)
            reporter.show(event)
    if signals.received is not None:
        return SIGNAL + signals.received
    if reporter.failure is not None:
        raise reporter.failure
    return FILE_SYSTEM if run.last_save_failed else 0


def _reporter(*, as_json: bool) -> Reporter:
    if as_json:
        return JsonReporter(sys.stdout)
    if sys.stdout.isatty():
        from tui.progress_reporter import ProgressReporter  # noqa: PLC0415 - imports Rich

        return ProgressReporter()
    return LineReporter(sys.stdout)
