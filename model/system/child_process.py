"""Starts this program's child processes; ``tui.terminal.keeper`` alone starts one more, a shell.

A child runs one of this program's modules in a new interpreter. Without `-P`, the interpreter would
search the working directory first, and run a `numpy.py` or a `model.py` from there.
"""

from __future__ import annotations

import asyncio
import asyncio.subprocess
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Final

from model.errors import ChildEnded

MAX_LAST_WORDS: Final = 4_096
"""Number of bytes kept from the end of a child's standard error, to find its last line."""
SECONDS_TO_END: Final = 20.0
"""Maximum time from the end of a child's standard output to the end of the child, seconds."""


RelayedChild = asyncio.subprocess.Process
"""A child with pipes for standard input, output and error."""


def child_command(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs a module without importing from the working directory."""
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns an environment whose `PYTHONPATH` has no empty entry.

    Python reads an empty entry, as in `PYTHONPATH=$PYTHONPATH:/somewhere`, as the working
    directory.
    """
    safe = dict(environment)
    folders = [folder for folder in safe.pop("PYTHONPATH", "").split(os.pathsep) if folder]
    if folders:
        safe["PYTHONPATH"] = os.pathsep.join(folders)
    return safe


def status_of_code(code: str, *arguments: str) -> int:
    """Runs Python code in a silent child; returns its exit status, negative for a signal.

    The child has a new session, so the signals of a terminal do not reach it. An exception in the
    caller, as from a signal handler, ends the child.

    Raises:
        OSError: the system starts no process.
    """
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-P", "-c", code, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=child_environment(os.environ),
        start_new_session=True,
        check=False,
    ).returncode


async def start_relayed_child(
    module: str, *arguments: str, environment: Mapping[str, str]
) -> RelayedChild:
    """Starts a child with three pipes in a new session (as with ``setsid``)."""
    return await asyncio.create_subprocess_exec(
        *child_command(module, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(environment),
        start_new_session=True,
    )


class AnsweringChild:
    """A child process that answers each line of input with one line."""

    def __init__(self, name: str, process: subprocess.Popen[str], errors: IO[bytes]) -> None:
        self._name = name
        self._process = process
        self._errors = errors

    def ask(self, question: str) -> str:
        """Returns the answer to one line.

        Raises:
            ChildEnded: the child has ended, or ends before it answers.
        """
        assert self._process.stdin is not None, "asked for when it was started"
        assert self._process.stdout is not None, "asked for when it was started"
        try:
            self._process.stdin.write(question + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise self._ended()
        return answer

    def _ended(self) -> ChildEnded:
        """Returns the error for a child that has closed its output."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(SECONDS_TO_END)
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - MAX_LAST_WORDS))
        words = last_line(self._errors.read())
        return ChildEnded(self._name, how_it_ended(self._process.returncode, words))


@contextmanager
def answering_child(
    name: str, module: str, *, environment: Mapping[str, str]
) -> Iterator[AnsweringChild]:
    """Starts a child that answers lines; ends it when the context exits.

    Args:
        name: the name of the child, for errors.
        module: the module to run.
        environment: the environment of the child.
    """
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603 - our own module
            child_command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            env=child_environment(environment),
        ) as process,
    ):
        try:
            yield AnsweringChild(name, process, errors)
        finally:
            assert process.stdin is not None, "asked for above"
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.terminate()


def last_line(errors: bytes) -> str:
    """Returns the last non-blank line of the output; empty if there is none."""
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")


def how_it_ended(status: int | None, last_words: str) -> str:
    """Describes the end of a child: its status or signal, and its last line."""
    if status is None:
        how = "closed its output"
    elif status < 0:
        how = f"was ended by signal {-status} ({_signal_name(-status)})"
    else:
        how = f"ended with status {status}"
    return f"{how}: {last_words}" if last_words else how


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
