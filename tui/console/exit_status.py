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
MAX_LINE_CHARACTERS = 600
"""A path may be long, and the remedy comes last."""

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
    """Returns the exit status for an error."""
    # A bad option is wrong usage, whichever command finds it.
    if isinstance(error, UserError) and error.subject.startswith("--"):
        return USAGE
    for kind, status in _BY_KIND:
        if isinstance(error, kind):
            return status
    return FILE_SYSTEM if isinstance(error, OSError) else INTERNAL


def complain(text: str, limit: int = MAX_LINE_CHARACTERS) -> None:
    """Prints one printable line on stderr."""
    try:
        print(f"{PROGRAM}: {one_line(text, limit)}", file=sys.stderr, flush=True)
    except OSError:  # the terminal is gone, and the program should not fail for that
        drop_unwritten_output()


def reader_is_gone() -> bool:
    """Tells whether the other end of standard output or standard error has been closed.

    A broken pipe to one of our child processes raises the same error; that one does not count.
    """
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)
    return any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))


def drop_unwritten_output() -> None:
    """Discards output that cannot be written, because Python would otherwise exit with 120."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None:  # it was closed before the program began
            continue
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
