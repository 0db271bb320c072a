"""The device that a machine computes with, and what it supports. PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from model.compute.engine import Engine
from model.distributed.rank import ProcessRank
from model.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The device and the engine that compute the training steps."""

    device: torch.device
    engine: Engine
    queues: bool = False
    """Whether the device executes work asynchronously from a queue, as CUDA does. If so, nothing
    waits for a result within a step, and a step's metrics are read one step later."""
    holds_text: bool = False
    """Whether the ids of the text are kept on the device if they fit."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """Sentences for the user about the choice of this machine."""

    @classmethod
    def on(cls, device: torch.device, engine: Engine) -> Machine:
        """Returns a machine with the settings that suit this type of device."""
        elsewhere = device.type != "cpu"
        return cls(device=device, engine=engine, queues=device.type == "cuda", holds_text=elsewhere)

    def take(self, array: npt.NDArray[Any]) -> Tensor:
        """Copies an array to the device; on CUDA the copy is asynchronous."""
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    @property
    def products(self) -> torch.dtype:
        """Data type of the matrix products in training, float32 or bfloat16."""
        return torch.float32 if self.engine.precision == "fp32" else torch.bfloat16

    def autocast(self) -> torch.autocast:
        """Returns the context in which PyTorch's operations multiply in that type."""
        casts = self.products is not torch.float32
        return torch.autocast(self.device.type, self.products, enabled=casts)

    @property
    def precision(self) -> str:
        """Precision of the matrix products as events report it, ``bf16`` or ``fp32``."""
        return self.engine.precision

    @property
    def threads(self) -> int:
        """Number of threads that compute a step."""
        return self.engine.threads


def choose_device(
    name: str,
    place: ProcessRank = ProcessRank(),  # noqa: B008 - frozen
) -> torch.device:
    """Returns the device called ``name``; ``auto`` is a CUDA card if there is one, or the CPU.

    ``auto`` leaves MPS out, which must be timed first (`model.training.autotune.choose_machine`).
    Each of several processes on one machine gets a separate GPU.

    Raises:
        ConfigError: the machine has no device of this type, or fewer GPUs than processes.
    """
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": has_mps(),
    }
    if name == "auto":
        name = "cuda" if available["cuda"] else "cpu"
    if not available[name]:
        have = ", ".join(kind for kind, there in available.items() if there)
        raise ConfigError("--device", f"this machine has no {name}", f"it has: {have}")
    if name != "cuda" or place.size == 1:
        return torch.device(name)
    if torch.cuda.device_count() < place.local_size:
        raise ConfigError(
            "--device",
            f"this machine has {torch.cuda.device_count()} cards for {place.local_size} processes",
            "start as many processes as it has cards, or give --device cpu",
        )
    return torch.device(name, place.local_rank)


def has_mps() -> bool:
    """Returns whether this machine has a GPU of Apple that PyTorch can use."""
    return torch.backends.mps.is_available()
