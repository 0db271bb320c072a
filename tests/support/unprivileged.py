"""Runs commands of the program as a user whom permissions hold back. A script, started by root.

Reads lines of JSON (a command's arguments), and answers each with its status, stdout and stderr.
Everything is imported before the rights are dropped, for that user may not be able to read it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from typing import IO, Any

import forked

from tui import command_line
from tui.commands import train

NOBODY = 65534


def run(arguments: list[str], output: IO[bytes], complaints: IO[bytes]) -> int:
    """Becomes nobody and runs one command; for a child."""
    os.dup2(output.fileno(), 1)
    os.dup2(complaints.fileno(), 2)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    status = command_line.run(arguments)
    sys.stdout.flush()
    return status


def main() -> None:
    os.chdir(sys.argv[1])
    assert train.train is not None
    forked.warm_up()
    for line in sys.stdin:
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaints:

            def child(
                tell: Callable[[str], None],
                arguments: list[str] = json.loads(line),  # noqa: B008 - each child its own
                streams: tuple[IO[bytes], IO[bytes]] = (output, complaints),
            ) -> None:
                tell(str(run(arguments, *streams)))

            status = int(forked.finish(child)[-1])
            answer: list[Any] = [status]
            for stream in (output, complaints):
                stream.seek(0)
                answer.append(stream.read().decode())
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
