"""The program, with the address of its one download replaced by a server of the tests. A script.

Arguments: the address, the size, the SHA-256, seconds for all of it, and the program's own.
"""

from __future__ import annotations

import dataclasses
import sys

from corpus.download import builtin
from tui.cli.main import main

if __name__ == "__main__":
    url, size, sha256, seconds, *arguments = sys.argv[1:]
    builtin.NIETZSCHE = dataclasses.replace(
        builtin.NIETZSCHE,
        url=url,
        size=int(size),
        sha256=sha256,
        read_seconds=float(seconds),
        whole_seconds=float(seconds),
        plain_loopback=True,
    )
    sys.argv[1:] = arguments
    main()
