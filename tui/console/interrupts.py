"""Ctrl-C while the program starts and ends.

Imports take a third of a second, in which nothing can be lost. An exception during an import could
surface anywhere, as a traceback or as another error. This module imports none of our packages.
"""

from __future__ import annotations

import os
import signal

INTERRUPTED = 128 + signal.SIGINT


def leave_at_once() -> None:
    """Lets Ctrl-C end the process silently, unless SIGINT already has a handler."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def raise_from_now_on() -> None:
    """Lets Ctrl-C raise an exception again, because there is something to clean up."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(_number: int, _frame: object) -> None:
    os._exit(INTERRUPTED)
