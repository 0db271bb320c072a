"""One way to compute training steps, as a checkpoint records it. No torch.

`model.training.engines` lists the engines of a machine. `model.training.autotune` measures which
one is the fastest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

LayerKind = Literal["torch", "sequence", "step"]
"""How the LSTM layers are computed.

- ``torch``: PyTorch's ``nn.LSTM``; on a GPU all layers in one call where nothing is dropped.
- ``sequence``: the compiled layer of `model.network.compiled_layer`, one layer at a time.
- ``step``: embedding, layer, head and loss in one call (`model.network.compiled_step`).
"""

_NAMES_BEFORE: Final[Mapping[str, LayerKind]] = {
    "packed": "sequence",
    "compiled": "step",
    "whole": "torch",
}
"""Kinds of layers under the names that checkpoints before version 0.3 hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One way to compute a step on a CPU. Every other device has exactly one engine."""

    precision: str
    """Type of the matrix products, ``bf16`` or ``fp32``."""
    layer: LayerKind = "torch"
    batch_shards: int = 1
    """Threads that each compute a part of the batch, from the forward pass to the gradient."""
    threads_per_shard: int = 1
    """Threads that share each matrix product of a shard."""

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Engine:
        """Returns the engine that ``to_record`` described.

        Raises:
            KeyError: this version does not have its kind of layer.
        """
        kind = record["layer"]
        if kind not in get_args(LayerKind):
            kind = _NAMES_BEFORE[kind]
        return cls(
            precision=record["precision"],
            layer=kind,
            batch_shards=record["shards"],
            threads_per_shard=record["threads_of_a_shard"],
        )

    def to_record(self) -> dict[str, Any]:
        """Returns the engine as plain values for the JSON of a checkpoint."""
        return {
            "precision": self.precision,
            "layer": self.layer,
            "shards": self.batch_shards,
            "threads_of_a_shard": self.threads_per_shard,
        }

    @property
    def threads(self) -> int:
        """Threads that compute at the same time."""
        return self.batch_shards * self.threads_per_shard

    def __str__(self) -> str:
        return f"{self.layer} {self.precision} {self.batch_shards}x{self.threads_per_shard}"
