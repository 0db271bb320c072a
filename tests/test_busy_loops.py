"""The loops of `make test-busy` end with what they run beside, whatever becomes of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import busy_loops
import pytest
from patience import wait_until
from terminal_harness import is_alive

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")

TELL = """
import os, sys, time
parent = os.getppid()
loops = open(f"/proc/{parent}/task/{parent}/children").read().split()
print(*[loop for loop in loops if int(loop) != os.getpid()], flush=True)
"""


def beside_two_loops(then: str) -> tuple[subprocess.Popen[str], list[int]]:
    process = subprocess.Popen(
        [sys.executable, busy_loops.__file__, "2", sys.executable, "-c", TELL + then],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    loops = [int(number) for number in process.stdout.readline().split()]
    assert len(loops) == 2
    return process, loops


def test_they_end_with_a_command_and_its_status_is_told() -> None:
    process, loops = beside_two_loops("sys.exit(7)")
    with process:
        assert process.wait() == 7
        assert not any(map(is_alive, loops))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_they_end_with_what_is_ended_from_outside(number: signal.Signals) -> None:
    process, loops = beside_two_loops("sys.stdin.read()")
    with process:
        assert all(map(is_alive, loops))
        process.send_signal(number)
        wait_until(lambda: not any(map(is_alive, loops)), "the end of the loops")
