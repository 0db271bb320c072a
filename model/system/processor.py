"""The kind of processor of this machine. Pure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PROCESSOR: Final = Path("/proc/cpuinfo")
_MAX_PROCESSOR_BYTES: Final = 8192
"""The description of one processor is shorter. The whole file takes long on many cores."""
_PROCESSOR_FIELDS: Final = frozenset(
    {
        *(b"model name", b"flags", b"CPU implementer", b"CPU part", b"Features"),
        *(b"features", b"isa", b"cpu"),
    }
)
"""Fields of a processor that do not change while it runs, on x86, Arm, s390x, RISC-V and POWER."""


def processor_kind() -> object:
    """Returns a description of the kind of processor; the host's name if Linux gives none."""
    try:
        with PROCESSOR.open("rb") as file:
            first, _, _ = file.read(_MAX_PROCESSOR_BYTES).partition(b"\n\n")
    except OSError:
        return os.uname().nodename
    fields = (line.partition(b":") for line in first.splitlines())
    return [(name.strip(), value) for name, _, value in fields if name.strip() in _PROCESSOR_FIELDS]
