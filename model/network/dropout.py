"""Dropout masks of one training step, which stay the same over the whole sequence. PyTorch.

Variational dropout (Gal & Ghahramani 2016) acts on the embedding and on each layer's output. Weight
dropout acts on the recurrent matrices (DropConnect, Merity et al. 2018). One generator draws all
masks of a step at once, for any number of threads. Letters: B batch, E embedding, H hidden.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.config import ModelConfig, TrainingConfig
from model.network import parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class DropoutMasks:
    """Factors: 0 drops a number, 1 / (1 - chance) keeps it. Without a mask nothing is dropped."""

    inputs: Tensor | None = None
    """[B, E], of the embedded characters."""
    outputs: tuple[Tensor | None, ...]
    """[B, H] of each layer."""
    recurrent: tuple[Tensor | None, ...]
    """Of each layer; the shape is `parameters.recurrent_shape`, [4H, H] of an LSTM."""

    def of_streams(self, streams: slice) -> DropoutMasks:
        """Returns the masks of some of the streams."""
        return DropoutMasks(
            inputs=None if self.inputs is None else self.inputs[streams],
            outputs=tuple(None if mask is None else mask[streams] for mask in self.outputs),
            recurrent=self.recurrent,
        )

    def factors(self) -> list[Tensor]:
        """Returns the masks that are not None, in a fixed order."""
        every = (self.inputs, *self.outputs, *self.recurrent)
        return [mask for mask in every if mask is not None]

    def with_factors(self, factors: Iterable[Tensor]) -> DropoutMasks:
        """Returns a copy whose masks, in the order of `factors`, are replaced by these."""
        others = iter(factors)
        every = (self.inputs, *self.outputs, *self.recurrent)
        inputs, *rest = (None if mask is None else next(others) for mask in every)
        layers = len(self.outputs)
        return DropoutMasks(
            inputs=inputs, outputs=tuple(rest[:layers]), recurrent=tuple(rest[layers:])
        )


def drops(model: ModelConfig, training: TrainingConfig) -> bool:
    """Whether anything is dropped in training."""
    return bool(model.dropout or training.embedding_dropout or training.weight_dropout)


def draw_masks(
    model: ModelConfig,
    training: TrainingConfig,
    *,
    batch: int,
    width: int,
    device: torch.device,
    generator: torch.Generator | None = None,
) -> DropoutMasks | None:
    """Draws the masks of one step.

    Args:
        model: shape of the network, and the chance of dropping an output.
        training: the chances of dropping an input and a weight.
        batch: B.
        width: E, the width of what the first layer reads.
        device: where the masks are created.
        generator: of the device; None for PyTorch's.

    Returns:
        None if nothing is dropped.
    """
    if not drops(model, training):
        return None
    matrix = parameters.recurrent_shape(model)

    def mask(shape: tuple[int, int], chance: float) -> Tensor | None:
        return _mask(shape, chance, device, generator) if chance else None

    return DropoutMasks(
        inputs=mask((batch, width), training.embedding_dropout),
        outputs=tuple(mask((batch, model.hidden), model.dropout) for _ in range(model.layers)),
        recurrent=tuple(mask(matrix, training.weight_dropout) for _ in range(model.layers)),
    )


def _mask(
    shape: tuple[int, int], chance: float, device: torch.device, generator: torch.Generator | None
) -> Tensor:
    """Returns a mask; on a CPU the chance is rounded to 1/65,536.

    There each entry compares 16 random bits, so four entries share one draw of the generator, and
    NumPy compares: PyTorch takes five times as long to make numbers of booleans. Together that is
    five times as fast as ``bernoulli_``, which would be a sixth of a step of LSTM(512).
    """
    if device.type != "cpu":
        kept = torch.empty(shape, device=device).bernoulli_(1 - chance, generator=generator)
        return kept.div_(1 - chance)
    count = shape[0] * shape[1]
    draws = torch.empty(-(-count // 4), dtype=torch.int64)
    bits = draws.random_(-(2**63), None, generator=generator).numpy().view(np.int16)[:count]
    dropped = min(max(1, round(chance * 2**16)), 2**16 - 1)
    factors, factor = torch.empty(shape), np.float32(2**16 / (2**16 - dropped))
    np.multiply(bits.reshape(shape) >= dropped - 2**15, factor, out=factors.numpy())
    return factors
