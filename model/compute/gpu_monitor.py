"""Measurement of the GPU memory and load of a training, as PyTorch reports them. PyTorch.

This module starts no program and reads no driver file. It reports nothing if there is no GPU.
"""

from __future__ import annotations

from typing import Any, Final

import torch

from model.events import AcceleratorMeasured
from model.timing import Clock

PAUSE: Final = 1.0
"""Minimum seconds between two measurements: a measurement does not block, but it has a cost."""


class GpuMonitor:
    """Measures the device of one training at most once a second."""

    def __init__(self, device: torch.device, clock: Clock, *, backend: Any = None) -> None:
        """Creates a monitor; it measures only in ``read``.

        Args:
            device: device that computes the training.
            clock: returns monotonic seconds.
            backend: PyTorch's module for this type of device; tests pass a fake.
        """
        self._device = device
        self._clock = clock
        if backend is None:
            backend = {"cuda": torch.cuda, "mps": torch.mps}.get(device.type)
        self._backend = backend
        self._tells_busy = device.type == "cuda"
        self._last: float | None = None

    def read(self) -> AcceleratorMeasured | None:
        """Returns a measurement; None on a CPU, or less than a second after the last one."""
        if self._backend is None:
            return None
        now = self._clock()
        if self._last is not None and now - self._last < PAUSE:
            return None
        self._last = now
        try:
            return self._measured()
        except (RuntimeError, AttributeError):  # this driver or PyTorch does not report it
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
        """Returns the fraction of time that the GPU was busy, 0 to 1; None if unknown."""
        if not self._tells_busy:
            return None
        try:
            return float(self._backend.utilization(self._device)) / 100
        except (ModuleNotFoundError, RuntimeError):  # the manufacturer's package is missing
            self._tells_busy = False
            return None
