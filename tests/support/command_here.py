"""Runs a command line in this process, and what it must look like when it refuses."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tui.cli.main import run
from tui.terminal.ending_signals import ending_signals

LONGEST_COMPLAINT = 620
"""Characters of a line: the program's name and 600."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command left behind."""

    status: int
    output: str
    complaint: str


@contextlib.contextmanager
def _surroundings(home: Path) -> Iterator[None]:
    """Lets a command see `home` and nothing of this machine, and undoes what it does to us."""
    kept = {number: signal.getsignal(number) for number in ending_signals()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLM_CHECKPOINTS", str(home / "runs"))
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        patch.setenv("HOME", str(home))
        patch.setenv("TERM", "xterm-256color")
        patch.chdir(home)
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)


def charlm_here(
    home: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> Outcome:
    """Runs the command line in this process: no start of an interpreter, no import again."""
    raw = io.BytesIO()
    output = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    complaint = io.StringIO()
    with (
        _surroundings(home),
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(complaint),
        open(os.devnull, encoding="utf-8") as nothing,  # noqa: PTH123 - a stream
    ):
        patch.setattr(sys, "stdin", nothing)
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        try:
            status = run([str(argument) for argument in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        output.flush()
    return Outcome(
        status=status,
        output=raw.getvalue().decode("utf-8", "replace"),
        complaint=complaint.getvalue(),
    )


def assert_one_line(outcome: Outcome, status: int, *words: str) -> None:
    """Asserts the status and one printable line on stderr that holds all the words."""
    assert outcome.status == status, (outcome.status, outcome.complaint, outcome.output[-500:])
    line = outcome.complaint.removesuffix("\n")
    assert outcome.complaint.endswith("\n")
    assert "\n" not in line
    assert line.startswith("charlm-tui: ")
    assert len(line) <= LONGEST_COMPLAINT
    assert "Traceback" not in line
    assert line.isprintable()
    for word in words:
        assert word in line, line
    assert outcome.output == ""
