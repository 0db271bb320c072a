"""Children that begin where a parent has imported torch already: each costs tens of milliseconds.

A child has a state of its own, as a fresh process has: every training sets the random states that
it depends on. Only a script of its own may fork so; pytest's process has threads.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from model_fixtures import make_request

from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun

ROOT = Path(__file__).parents[2]
Child = Callable[[Callable[[str], None]], None]
"""The work of a child, which is given what it tells its parent by, line by line."""


def warm_up() -> None:
    """Trains a little, on one thread: for what torch imports only when it is used."""
    with tempfile.TemporaryDirectory() as folder:
        request = make_request(Path(folder), epochs=1)
        for _ in TrainingRun(request, TrainingControls()).events():
            pass


def begin(child: Child) -> tuple[int, int]:
    """Starts a child; returns its process id and the descriptor that its lines come from."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    os.close(reading)
    status = 1
    try:
        child(lambda line: _write_all(writing, f"{line}\n".encode()))
        status = 0
    except BaseException:  # noqa: BLE001 - a child must never return into its parent's loop
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def finish(child: Child) -> list[str]:
    """Runs a child to its end and returns its lines.

    Raises:
        RuntimeError: it failed; its traceback is on stderr.
    """
    process, reading = begin(child)
    with os.fdopen(reading, encoding="utf-8") as lines:
        told = lines.read().splitlines()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status != 0:
        raise RuntimeError(f"a child ended with {status} (negative: by a signal)")
    return told


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def environment() -> dict[str, str]:
    """Returns the environment in which a script finds the packages and `tests/support`."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return {**os.environ, **threads, "PYTHONPATH": path}
