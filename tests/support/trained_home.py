"""A home folder with one finished run, and commands in processes of their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command_here import Outcome
from patience import PATIENCE
from terminal_harness import PROGRAM, TINY, make_environment, make_words

TEXT = make_words(8000)
PLAN = [*TINY, "--run", "tiny", "--epochs", "3"]


def charlm(
    home: Path, *arguments: str | Path, standard_input: str | None = None, **changes: str
) -> Outcome:
    """Runs one command in a folder of its own."""
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)],
        input=(standard_input or "").encode(),
        capture_output=True,
        env=make_environment(home, **changes),
        cwd=home,
        timeout=PATIENCE,
        check=False,
    )
    return Outcome(
        status=done.returncode, output=done.stdout.decode(), complaint=done.stderr.decode()
    )


@contextmanager
def training(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Starts `train words.txt --json`, and ends it whatever became of it."""
    process = subprocess.Popen(
        [PROGRAM, "train", "words.txt", "--json", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=make_environment(home),
        cwd=home,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A home with one finished run, and what `train --json` said."""

    home: Path
    events: list[dict[str, Any]]
    complaint: str

    @property
    def run(self) -> Path:
        return self.home / "runs" / "tiny"

    def last(self, kind: str) -> dict[str, Any]:
        return [event for event in self.events if event["event"] == kind][-1]
