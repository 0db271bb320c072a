"""A tmux server for one test, which reads no user's configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import PATIENCE, moments
from terminal_harness import make_environment


class Tmux:
    """Calls the server, and says how to attach another client to it."""

    def __init__(self, path: str, home: Path) -> None:
        self._home = home
        self._program = (path, "-u", "-L", f"charlm-{uuid.uuid4().hex[:12]}", "-f", os.devnull)

    def __call__(self, *words: str) -> str:
        """Runs a tmux command and returns its output."""
        done = subprocess.run(
            self.command(*words),
            env=make_environment(self._home),
            cwd=self._home,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def command(self, *words: str) -> list[str]:
        """Returns the command line of a tmux command, for a terminal of its own."""
        return [*self._program, *words]

    def wait_for(self, *words: str) -> str:
        """Waits until all of these are in the pane, and returns its rows."""
        pane = ""
        for _ in moments():
            pane = self("capture-pane", "-p")
            if all(word in pane for word in words):
                break
        assert all(word in pane for word in words), pane
        return pane


@contextmanager
def tmux_server(home: Path) -> Iterator[Tmux]:
    """Provides a server, and ends it with all its sessions."""
    path = shutil.which("tmux")
    if path is None:
        pytest.skip("tmux is not on this machine")
    tmux = Tmux(path, home)
    yield tmux
    subprocess.run(tmux.command("kill-server"), capture_output=True, timeout=PATIENCE, check=False)
