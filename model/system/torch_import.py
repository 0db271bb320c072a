"""Finds out once on each machine whether an import of torch survives. Does not import torch.

A build of PyTorch can contain instructions that the processor lacks. Its import then ends the
process with SIGILL, which no code in that process can catch. It happens on a Raspberry Pi 4
(pytorch issues 132032 and 176993). So the first start on a machine imports torch in a child.

A success is remembered: an empty file in the cache folder, whose name is a digest of what the
answer depends on. A death is not remembered, so every start asks again. A death can be mended
outside of what the digest covers, by a system library or a variable, and the next start then works.
A probe that was interrupted says nothing and is not remembered.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from corpus.files.cache_folder import cache_folders
from model.errors import TorchUnusable
from model.system.child_process import how_it_ended, status_of_code
from model.system.processor import processor_kind

FOLDER: Final = "torch"
"""Name of the folder of successes in the cache folder."""
_IMPORT: Final = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.path[:] = sys.argv[1:]
import torch
"""
"""Imports torch from the folders that this process searches; a death leaves no core file."""
_FAULTS: Final = frozenset(
    {
        *(signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE),
        *(signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS),
    }
)
"""Signals that a process receives for its own fault. All others are sent to it."""


def require_torch() -> None:
    """Returns if an import of torch does not end the process; call it before the first one.

    The first call on a machine takes as long as an import, later ones less than a millisecond. If
    torch is missing or no child can be started, it returns, because the import itself will say so.

    Raises:
        TorchUnusable: the import ended a child process by a fault.
    """
    if "torch" in sys.modules:
        return
    digest = _digest()
    if digest is None or _is_remembered(digest):
        return
    try:
        status = status_of_code(_IMPORT, *sys.path)
    except OSError:
        return
    if status == 0:
        _remember(digest)
    elif -status in _FAULTS:
        cause = f"its import {how_it_ended(status, '')}"
        if -status == signal.SIGILL:
            cause += ", because this build needs instructions that the processor lacks"
        remedy = "install a version or build of PyTorch that runs on this processor"
        raise TorchUnusable("torch", cause, remedy)


def _digest() -> str | None:
    """Returns a digest of Python, torch's files and the processor; None if torch is missing."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    version = b""
    with contextlib.suppress(OSError):
        version = (folder / "version.py").read_bytes()
    stamps = [_stamp(folder / name) for name in ("__init__.py", "lib")]
    depends_on = sys.version, str(folder), version, stamps, os.uname().machine, processor_kind()
    return hashlib.sha256(repr(depends_on).encode()).hexdigest()


def _stamp(path: Path) -> tuple[int, int] | None:
    """Returns when a file or a folder was changed, and its size; None if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _is_remembered(digest: str) -> bool:
    for folder in cache_folders(usual=True):
        with contextlib.suppress(OSError):
            if (folder / FOLDER / digest).is_file():
                return True
    return False


def _remember(digest: str) -> None:
    """Makes the file in the first cache folder that allows it; without one the next start asks."""
    for folder in cache_folders(usual=True):
        with contextlib.suppress(OSError):
            (folder / FOLDER).mkdir(parents=True, exist_ok=True)
            (folder / FOLDER / digest).touch()
            return
