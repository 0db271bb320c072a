"""Restores the terminal when the app ends without running any cleanup.

SIGKILL, a fault in a library, or a library that ends the process would leave the user's shell with
the alternate screen, mouse reports and no cursor. A small shell process waits for the end of a
pipe, which closes when the app's process ends, and then restores the terminal.
"""

from __future__ import annotations

import contextlib
import subprocess
from typing import Final

from tui.terminal.output import RESET

SECONDS_TO_END: Final = 1.0
_SCRIPT: Final = (
    "shown=no; while read -r word; do shown=$word; done; "
    '[ "$shown" = yes ] || exit 0; stty "$1" <&1; printf %s "$2"'
)


class TerminalKeeper:
    """Holds the terminal's previous mode, and whether the app is on the screen."""

    def __init__(self, descriptor: int) -> None:
        """Starts the shell; without one, or without ``stty``, the terminal has no keeper.

        Args:
            descriptor: of the terminal, which the app has not touched yet.
        """
        self._process: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            mode = subprocess.run(
                ["stty", "-g"],  # noqa: S607 - wherever the system has it
                stdin=descriptor,
                capture_output=True,
                encoding="ascii",
                check=True,
                timeout=SECONDS_TO_END,
            ).stdout.strip()
            self._process = subprocess.Popen(  # noqa: S603 - all of it is ours
                ["/bin/sh", "-c", _SCRIPT, "charlm-tui-keeper", mode, RESET.decode()],
                stdin=subprocess.PIPE,
                stdout=descriptor,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # what is sent to the app's group must not end it
                bufsize=0,
            )

    def note(self, *, shown: bool) -> None:
        """Notes whether the app has the terminal; without the app the keeper does nothing."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(b"yes\n" if shown else b"no\n")

    def close(self) -> None:
        """Ends the shell: the app has given the terminal back."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS_TO_END)
