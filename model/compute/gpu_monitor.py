"""What a training takes of a GPU, as PyTorch tells it. PyTorch.

No program is started and no file of a driver is read. Where there is no GPU, nothing is said.
"""

from __future__ import annotations

from typing import Any, Final

import torch

from model.events import AcceleratorMeasured
from model.timing import Clock

PAUSE: Final = 1.0
"""Seconds between two measurements: asking for them waits for nothing, but is not free."""


class GpuMonitor:
    """Measures the device of one training, now and then."""

    def __init__(self, device: torch.device, clock: Clock, *, backend: Any = None) -> None:
        """Measures nothing yet.

        Args:
            device: that computes.
            clock: monotonic seconds.
            backend: PyTorch's module for that kind of device; tests give their own.
        """
        self._device = device
        self._clock = clock
        if backend is None:
            backend = {"cuda": torch.cuda, "mps": torch.mps}.get(device.type)
        self._backend = backend
        self._tells_busy = device.type == "cuda"
        self._last: float | None = None

    def read(self) -> AcceleratorMeasured | None:
        """Returns what is taken now; None on a CPU, and where it was read a moment ago."""
        if self._backend is None:
            return None
        now = self._clock()
        if self._last is not None and now - self._last < PAUSE:
            return None
        self._last = now
        try:
            return self._measured()
        except (RuntimeError, AttributeError):  # a driver or a PyTorch that does not tell
            self._backend = None
            return None

    def _measured(self) -> AcceleratorMeasured:
        if self._device.type == "mps":
            return AcceleratorMeasured(
                device="mps",
                bytes=int(self._backend.driver_allocated_memory()),
                bytes_total=int(self._backend.recommended_max_memory()),
                busy=None,
            )
        return AcceleratorMeasured(
            device=str(self._backend.get_device_name(self._device)),
            bytes=int(self._backend.memory_reserved(self._device)),
            bytes_total=int(self._backend.mem_get_info(self._device)[1]),
            busy=self._busy(),
        )

    def _busy(self) -> float | None:
        """Returns the part of the time that the GPU computes; None where nobody can tell."""
        if not self._tells_busy:
            return None
        try:
            return float(self._backend.utilization(self._device)) / 100
        except (ModuleNotFoundError, RuntimeError):  # wants a package of the maker's
            self._tells_busy = False
            return None
