"""One way of computing the steps of a training, as a checkpoint names it. No torch.

Which ways a machine has, and which of them is the fastest, is in ``model.compute.device`` and
``model.training.autotune``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LayerKind = Literal["torch", "packed", "whole", "compiled"]
"""PyTorch's ``nn.LSTM`` layer by layer, or ours (`model.network.compiled_layer`), or ``nn.LSTM``
with all its layers at once where nothing is dropped: cuDNN then computes several layers side by
side. The last one is no layer: embedding, layer, head and loss are one call,
`model.training.compiled_step`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One way of computing a step on a CPU; on other devices there is but one."""

    precision: str
    """``bf16`` or ``fp32``: type of the matrix products."""
    layer: LayerKind = "torch"
    shards: int = 1
    """Threads that each take some of the streams, from forward pass to gradient."""
    threads_of_a_shard: int = 1
    """Threads that share each matrix product of a shard."""

    @property
    def threads(self) -> int:
        """Threads that compute at the same time."""
        return self.shards * self.threads_of_a_shard

    def __str__(self) -> str:
        return f"{self.layer} {self.precision} {self.shards}x{self.threads_of_a_shard}"
