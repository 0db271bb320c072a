"""What this machine computes with: device, precision, threads. PyTorch."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from model.config import TrainingConfig
from model.errors import ConfigError

UNITS_PER_THREAD = 8192
"""Hidden units times batch that are worth a CPU thread. Threads meet at every time step: where the
shares are small, two gain little on an idle machine and lose most of the speed on one that has
other work, a screen to draw for example (two cores, characters a second, one thread against two:
LSTM(256) x 32: 77k to 97k idle, 50k to 18k busy; LSTM(512) x 32: 14k to 21k idle, 15k to 13k
busy)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where and how to compute."""

    device: torch.device
    autocast: torch.dtype | None
    """Type of the matrix products while training; None leaves them in float32."""
    threads: int

    @property
    def precision(self) -> str:
        """``bf16`` or ``fp32``, as events report it."""
        return "fp32" if self.autocast is None else "bf16"


def choose_machine(training: TrainingConfig, hidden: int) -> Machine:
    """Chooses device, precision and threads, as asked or by what is there.

    Raises:
        ConfigError: a device was asked for that this machine does not have.
    """
    device = _choose_device(training.device)
    bf16 = training.precision == "bf16" or (training.precision == "auto" and _native_bf16(device))
    threads = training.threads or max(
        1, min(_available_cores(), hidden * training.batch // UNITS_PER_THREAD)
    )
    return Machine(device=device, autocast=torch.bfloat16 if bf16 else None, threads=threads)


def prepare_thread(machine: Machine) -> None:
    """Sets up the calling thread for computing; call it before its first tensor operation."""
    torch.set_num_threads(machine.threads)
    # Numbers near zero cost an LSTM on a CPU up to twenty times the time of others.
    torch.set_flush_denormal(True)


def _choose_device(name: str) -> torch.device:
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    if not available[name]:
        have = ", ".join(kind for kind, there in available.items() if there)
        raise ConfigError("--device", f"this machine has no {name}", f"it has: {have}")
    return torch.device(name)


def _native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices natively; emulated, they are slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return bool(supported()) if supported is not None else False
    return False


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
