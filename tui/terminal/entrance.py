"""Whether there is a terminal to show the app on, and who owns the keyboard."""

from __future__ import annotations

import os
import sys
from typing import Final

SERVED_BY: Final = "CHARLM_SERVED_BY"
"""Holds the process number of `serve`, whose children alone may do without a terminal."""


def is_served() -> bool:
    """Tells whether `serve` of this program started this process, to show it on a page."""
    return os.environ.get(SERVED_BY, "") == str(os.getppid())


def why_no_terminal() -> str | None:
    """Returns why the app cannot be shown here; None if it can."""
    if is_served():
        return None
    # Textual reads keys from standard input and draws on standard error.
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return "the app needs a terminal for its keys and its screen"
    if os.environ.get("TERM", "dumb") in {"", "dumb", "unknown"}:
        return "the terminal cannot move its cursor (TERM is dumb or not set)"
    return None


def take_text_from_stdin() -> int:
    """Returns a descriptor of the piped text, and connects standard input to the keyboard.

    Raises:
        OSError: there is no terminal to read keys from.
    """
    text = os.dup(0)
    keyboard = os.open("/dev/tty", os.O_RDWR)
    os.dup2(keyboard, 0)
    os.close(keyboard)
    return text
