"""Decides between Apple's MPS and the CPU by a step on each. Does not import torch.

PyTorch's LSTM can be slower on MPS than on the CPU: a cell took twice as long on an M3 Max (pytorch
issue 138898). It has also been wrong there without an error (issues 90421 and 92615). So MPS must
be faster, and must compute what the CPU computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

TOLERANCE: Final = 1e-3
"""Maximum relative difference of two results in float32. Rounding makes about a hundredth of it."""

CpuOrMps = Literal["cpu", "mps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What one training step computes in float32."""

    loss: float
    """Mean loss, nats per character."""
    gradient_norm: float
    """Euclidean norm of all gradients. A new network's loss says little: it hardly differs from
    that of a uniform guess, whatever the layers compute."""

    def is_close_to(self, other: StepResult) -> bool:
        """Returns whether both numbers agree but for rounding; False if one is NaN."""
        return math.isclose(self.loss, other.loss, rel_tol=TOLERANCE) and math.isclose(
            self.gradient_norm, other.gradient_norm, rel_tol=TOLERANCE
        )


def cpu_or_mps(
    seconds: Callable[[CpuOrMps], float], result: Callable[[CpuOrMps], StepResult]
) -> tuple[CpuOrMps, str | None]:
    """Returns the device to train on, and a sentence if MPS is faster but cannot be used.

    Args:
        seconds: makes steps on a device and returns the seconds of one.
        result: makes a step on a device, from the same weights and characters on both.
    """
    on_cpu = seconds("cpu")
    try:
        if not seconds("mps") < on_cpu:
            return "cpu", None
        found = result("mps")
    except Exception as error:  # noqa: BLE001 - whatever a device that does not work may raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return "cpu", f"the CPU trains, because a step on MPS failed ({reason})"
    expected = result("cpu")
    if found.is_close_to(expected):
        return "mps", None
    return "cpu", (
        "the CPU trains, because MPS computes a step wrongly: "
        f"loss {found.loss:.4f} for {expected.loss:.4f}, "
        f"gradient norm {found.gradient_norm:.4f} for {expected.gradient_norm:.4f}"
    )
