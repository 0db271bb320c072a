"""Which signals end the program, so that what was learned is saved first."""

from __future__ import annotations

import signal
from typing import Final

NOT_OURS: Final = frozenset(
    {
        *("SIGKILL", "SIGSTOP"),  # cannot be caught
        *("SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGCONT"),  # suspend and go on
        *("SIGCHLD", "SIGURG", "SIGWINCH", "SIGINFO"),  # end nothing
        *("SIGPIPE", "SIGXFSZ"),  # Python ignores them and raises an error where one is due
        # The process is broken, and nothing of Python runs any more. The terminal's keeper
        # restores the terminal; the last checkpoint stays.
        *("SIGABRT", "SIGBUS", "SIGEMT", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"),
    }
)


def ending_signals() -> tuple[int, ...]:
    """Returns the signals that would now end the process without saving.

    Real-time signals are included. Signals that are ignored, as under ``nohup``, or that have a
    handler are not.
    """
    named = {int(getattr(signal, name)) for name in NOT_OURS if hasattr(signal, name)}
    default = (signal.SIG_DFL, signal.default_int_handler)
    return tuple(
        sorted(
            int(number)
            for number in signal.valid_signals()
            if number not in named and signal.getsignal(number) in default
        )
    )
