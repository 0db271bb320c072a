"""The child process of ``model.constraints.pattern``: one JSON line in, one out."""

from __future__ import annotations

import json
import re
import signal
import sys
import warnings
from typing import Final

MAX_SECONDS: Final = 1.0
"""Maximum time for an answer, seconds; then the system ends the process by SIGALRM."""


def main() -> None:
    """Answers until standard input ends."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    for question in sys.stdin:
        pattern, lines = json.loads(question)
        signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
        # Python's matcher never returns to run a handler, so there is none: the default ends it.
        found = [re.search(pattern, line) is not None for line in lines]
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
