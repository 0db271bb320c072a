"""Ctrl-C while the program begins and ends, when a traceback would be all that it could say.

Importing takes a third of a second, in which nothing can be lost; an exception in the middle of it
comes out anywhere, as a traceback or as another error. This module imports
nothing of ours, and as little as can be.
"""

from __future__ import annotations

import os
import signal

INTERRUPTED = 128 + signal.SIGINT


def leave_at_once() -> None:
    """Lets Ctrl-C end the process without a word, unless somebody has told it what to do."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def raise_from_now_on() -> None:
    """Lets Ctrl-C be an exception again: there is something to tidy up."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(_number: int, _frame: object) -> None:
    os._exit(INTERRUPTED)
