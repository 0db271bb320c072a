"""Runs commands of the program, each in a child of a process that has imported torch. A script.

Reads requests as lines of JSON and answers each with a list: status, stdout, stderr. Everything is
imported before a child drops its rights, for its user may not be able to read it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from types import TracebackType
from typing import IO, Any, Self

import forked

from corpus.download import builtin
from tui.cli import main as command_line
from tui.cli.commands import train

NOBODY = 65534


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One command."""

    arguments: tuple[str, ...]
    folder: str
    environment: dict[str, str]
    as_nobody: bool = False
    """Whether to run it as a user whom permissions hold back; takes root."""
    largest_file: int | None = None
    """Bytes; a disk that is full."""
    download: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What is another for the one text that is downloaded: address, size, ..."""


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """What a command left behind."""

    status: int
    output: str
    complaint: str


class CommandServer:
    """The script, as its tests use it."""

    def __init__(self, **environment: str) -> None:
        """Starts the script, with some variables besides those that it needs."""
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**forked.environment(), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def run(self, request: Request) -> Done:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(dataclasses.asdict(request)) + "\n")
        self._process.stdin.flush()
        return Done(*json.loads(self._process.stdout.readline()))


def run(request: Request, output: IO[bytes], complaints: IO[bytes]) -> int:
    """Becomes what the request asks for and runs its command; for a child."""
    os.dup2(output.fileno(), 1)
    os.dup2(complaints.fileno(), 2)
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.folder)
    if request.as_nobody:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    if request.largest_file is not None:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (request.largest_file, hard))
    builtin.NIETZSCHE = dataclasses.replace(builtin.NIETZSCHE, **request.download)
    status = command_line.run(list(request.arguments))
    sys.stdout.flush()
    return status


def main() -> None:
    assert train.train is not None, "imported before the rights are dropped"
    forked.warm_up()
    for line in sys.stdin:
        request = Request(**json.loads(line))
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaints:

            def child(
                tell: Callable[[str], None],
                wish: Request = request,
                streams: tuple[IO[bytes], IO[bytes]] = (output, complaints),
            ) -> None:
                tell(str(run(wish, *streams)))

            answer: list[Any] = [int(forked.finish(child)[-1])]
            for stream in (output, complaints):
                stream.seek(0)
                answer.append(stream.read().decode())
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
