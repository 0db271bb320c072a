"""What this machine computes with: device, precision, threads, kind of layer. PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from model.compute.engine import Engine
from model.distributed.rank import ProcessRank
from model.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where and how to compute."""

    device: torch.device
    engine: Engine
    queues: bool = False
    """Whether the device works through a queue while the program goes on, as CUDA does: nothing
    then asks for a result in the middle of a step, and its figures are read one step later."""
    holds_text: bool = False
    """Whether the text's ids are kept on the device, where they fit."""

    @classmethod
    def on(cls, device: torch.device, engine: Engine) -> Machine:
        """Returns a machine that does on the device what that kind of device is good at."""
        elsewhere = device.type != "cpu"
        return cls(device=device, engine=engine, queues=device.type == "cuda", holds_text=elsewhere)

    def take(self, array: npt.NDArray[Any]) -> Tensor:
        """Returns an array on the device; where that has a queue, nobody waits for the copy."""
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    @property
    def autocast(self) -> torch.dtype | None:
        """Type of the matrix products while training; None leaves them in float32."""
        return None if self.engine.precision == "fp32" else torch.bfloat16

    @property
    def precision(self) -> str:
        """``bf16`` or ``fp32``, as events report it."""
        return self.engine.precision

    @property
    def threads(self) -> int:
        """Threads of a step."""
        return self.engine.threads


def trains_in_bf16() -> bool:
    """Whether a training on this machine's processor takes bfloat16 unless it is told otherwise."""
    return native_bf16(torch.device("cpu"))


def choose_device(
    name: str,
    place: ProcessRank = ProcessRank(),  # noqa: B008 - frozen
) -> torch.device:
    """Returns the device of that name; ``auto`` takes the fastest kind there is.

    Of several processes on a machine each takes a card of its own.

    Raises:
        ConfigError: a device was asked for that this machine does not have, or has too few of.
    """
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
    if name != "cuda" or place.size == 1:
        return torch.device(name)
    if torch.cuda.device_count() < place.local_size:
        raise ConfigError(
            "--device",
            f"this machine has {torch.cuda.device_count()} cards for {place.local_size} processes",
            "start as many processes as it has cards, or give --device cpu",
        )
    return torch.device(name, place.local_rank)


def native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices natively; emulated, they are slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return bool(supported()) if supported is not None else False
    return False
