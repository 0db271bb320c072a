"""Measures processor time and memory of this process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from tui.view.state import MachineUse


class MachineMeter:
    """Measures the use of the processor since the last reading."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        self._clock, self._processor = clock, processor
        self._before: tuple[float, float] | None = None
        self._cores: float | None = None

    def read(self) -> MachineUse:
        """Returns the current use; readings within half a second share one figure."""
        now, used = self._clock(), self._processor()
        if self._before is None:
            self._before = now, used
        elif now - self._before[0] >= 0.5:
            self._cores = max(0.0, used - self._before[1]) / (now - self._before[0])
            self._before = now, used
        return MachineUse(cores=self._cores, bytes=resident_bytes())


def resident_bytes() -> int | None:
    """Returns the resident memory of this process in bytes; None except on Linux."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
