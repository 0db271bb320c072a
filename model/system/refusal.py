"""Distinguishes a refusal of the system (memory, threads, open files) from a defect. Pure.

A refusal has many forms: errors of Python, errors of the system, and messages of PyTorch, of the
dynamic linker and of C++.
"""

from __future__ import annotations

import errno
import traceback
from typing import Literal

from corpus import UserError
from model.errors import SystemRefusal
from model.events import WorkerCrashed

_MEMORY = (
    "allocate memory",
    "not enough memory",
    "out of memory",
    "failed to map segment",
    "bad_alloc",
)
_THREADS = ("can't start new thread", "thread creation failed", "pthread_create")
_NO_MEMORY = SystemRefusal(
    "memory",
    "the system refuses to allocate more",
    "end other programs, raise the limit (ulimit -v), or give a smaller --batch or --hidden",
)
_NO_THREADS = SystemRefusal(
    "threads",
    "the system refuses to start more",
    "end other programs, raise the limits (ulimit -u and -v), or give fewer --threads",
)
_NO_FILES = SystemRefusal(
    "open files", "the system refuses to open more", "raise the limit (ulimit -n)"
)


def refusal_of(error: BaseException) -> SystemRefusal | None:
    """Returns the refusal that an error or one of its causes reports; None for other errors."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None or isinstance(seen, UserError):
            return None
        words = str(seen).lower()
        number = seen.errno if isinstance(seen, OSError) else None
        if isinstance(seen, MemoryError) or number == errno.ENOMEM:
            return _NO_MEMORY
        if number in {errno.EMFILE, errno.ENFILE}:
            return _NO_FILES
        if isinstance(seen, RuntimeError | ImportError | OSError):
            if any(phrase in words for phrase in _MEMORY):
                return _NO_MEMORY
            if any(phrase in words for phrase in _THREADS):
                return _NO_THREADS
        seen = seen.__cause__ or seen.__context__
    return None


def crash_of(
    worker: Literal["trainer", "sampler"], work: str, error: BaseException
) -> WorkerCrashed:
    """Returns the event that an unexpected error ended a worker; call this in `except`.

    Args:
        worker: the worker that ended.
        work: its task, such as ``training``.
        error: the unexpected error.
    """
    refusal = refusal_of(error)
    reason = f"because of a defect: {error!r}" if refusal is None else f"({refusal})"
    return WorkerCrashed(
        worker=worker, sentence=f"{work} stopped {reason}", traceback=traceback.format_exc()
    )
