"""Exit statuses, and the one line on stderr that goes with each.

The statuses are a contract with scripts: 0 done, 1 internal error, 2 wrong usage or no terminal,
3 corpus, 4 checkpoint, 5 file system, 6 network, 128 + n ended by signal n.
"""

from __future__ import annotations

import os
import select
import sys

from corpus import CorpusAccessError, CorpusError, DownloadError, UserError
from model.errors import CheckpointError, ConfigError, RankLost, RunFolderError, SystemRefusal
from tui.sanitise import one_line

PROGRAM = "charlm-tui"
INTERNAL = 1
USAGE = 2
CORPUS = 3
CHECKPOINT = 4
FILE_SYSTEM = 5
NETWORK = 6
SIGNAL = 128
LONGEST_LINE = 600
"""Characters; a path may be long, and the remedy stands at the end."""

_BY_KIND: tuple[tuple[type[UserError], int], ...] = (
    (DownloadError, NETWORK),
    (CorpusAccessError, FILE_SYSTEM),
    (CorpusError, CORPUS),
    (CheckpointError, CHECKPOINT),
    (RunFolderError, FILE_SYSTEM),
    (SystemRefusal, FILE_SYSTEM),
    (RankLost, NETWORK),
    (ConfigError, USAGE),
)


def status_of(error: BaseException) -> int:
    """Returns the exit status that an error ends the program with."""
    # A bad option is wrong usage wherever it is found.
    if isinstance(error, UserError) and error.subject.startswith("--"):
        return USAGE
    for kind, status in _BY_KIND:
        if isinstance(error, kind):
            return status
    return FILE_SYSTEM if isinstance(error, OSError) else INTERNAL


def complain(text: str, limit: int = LONGEST_LINE) -> None:
    """Prints one line on stderr, harmless to a terminal whatever the text holds."""
    try:
        print(f"{PROGRAM}: {one_line(text, limit)}", file=sys.stderr, flush=True)
    except OSError:  # the terminal is gone: there is nobody to tell, and nothing to fail for
        drop_unwritten_output()


def reader_is_gone() -> bool:
    """Tells whether the other end of standard output or standard error has been closed.

    A broken pipe to one of our child processes raises the same error, and is no reader of ours.
    """
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)
    return any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))


def drop_unwritten_output() -> None:
    """Forgets output that cannot be written: Python would fail at it (status 120) at its end."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None:  # it was closed before the program began
            continue
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
