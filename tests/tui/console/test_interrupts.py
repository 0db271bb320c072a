"""Ctrl-C while the program begins (B11): status 130, and not a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from forked import ROOT
from patience import PATIENCE

from model.training.controls import TrainingControls
from tui.cli.commands.train import SignalStop
from tui.console.interrupts import leave_at_once, raise_from_now_on

STARTED = """
import os, signal, sys

moment, *arguments = sys.argv[1:]

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
sys.argv[1:] = arguments
from tui.__main__ import main
main()
"""
"""Starts the program, and sends itself a Ctrl-C when a module is about to be imported."""


@pytest.mark.parametrize(
    ("moment", "command"),
    [
        ("click", "runs"),
        ("corpus", "runs"),
        ("numpy", "runs"),
        ("tui.config.user_config", "--version"),
        ("tui.cli.commands.runs", "runs"),
        ("model.runs.folder", "runs"),
        ("safetensors", "generate"),
        ("rich.table", "corpora"),
    ],
)
def test_an_interrupt_during_an_import_is_status_130(
    moment: str, command: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTED, moment, command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (128 + signal.SIGINT, b"")
    assert done.stderr in {b"", b"\n"}  # an end of line behind the terminal's ^C


def test_what_somebody_has_said_of_ctrl_c_stays() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        for chosen in (signal.SIG_IGN, lambda *_: None):
            signal.signal(signal.SIGINT, chosen)
            leave_at_once()
            raise_from_now_on()
            assert signal.getsignal(signal.SIGINT) is chosen
        signal.signal(signal.SIGINT, signal.default_int_handler)
        leave_at_once()
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        raise_from_now_on()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_before_training_is_a_wish_to_stop_as_well() -> None:
    """C6: raised in a callback of LLVM, while it compiles, an exception goes nowhere."""
    controls = TrainingControls()
    with pytest.raises(SystemExit):
        SignalStop(controls)._handle(signal.SIGTERM, None)
    assert controls.stopping
    assert controls.signal == signal.SIGTERM
