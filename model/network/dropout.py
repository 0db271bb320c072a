"""Masks of one training step: what is dropped stays dropped for the whole sequence.

Variational dropout (Gal & Ghahramani 2016) on the embedding and on each layer's output; weight
dropout (DropConnect on the recurrent matrices, Merity et al. 2018). All masks of a step are drawn
at once, by one generator, however many threads compute the step. Letters: B batch, H hidden.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from model.config import ModelConfig, TrainingConfig
from model.network import parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class DropoutMasks:
    """Factors: 0 for what is dropped, 1 / (1 - chance) for what is kept; None drops nothing."""

    inputs: Tensor | None = None
    """[B, E], for the embedded characters."""
    outputs: tuple[Tensor | None, ...]
    """[B, H] for each layer."""
    recurrent: tuple[Tensor | None, ...]
    """[4H, H] for each layer."""

    def of_streams(self, streams: slice) -> DropoutMasks:
        """Returns the masks of some of the streams."""
        return DropoutMasks(
            inputs=None if self.inputs is None else self.inputs[streams],
            outputs=tuple(None if mask is None else mask[streams] for mask in self.outputs),
            recurrent=self.recurrent,
        )

    def factors(self) -> list[Tensor]:
        """Returns what is dropped at all, in a fixed order."""
        every = (self.inputs, *self.outputs, *self.recurrent)
        return [mask for mask in every if mask is not None]

    def made_of(self, factors: Iterable[Tensor]) -> DropoutMasks:
        """Returns masks that drop where these do, with other factors, in the same order."""
        others = iter(factors)
        every = (self.inputs, *self.outputs, *self.recurrent)
        inputs, *rest = (None if mask is None else next(others) for mask in every)
        layers = len(self.outputs)
        return DropoutMasks(
            inputs=inputs, outputs=tuple(rest[:layers]), recurrent=tuple(rest[layers:])
        )


def draw_masks(
    model: ModelConfig, training: TrainingConfig, *, batch: int, width: int, device: torch.device
) -> DropoutMasks | None:
    """Draws the masks of one step from PyTorch's generator of the device.

    Args:
        model: the shape, and the chance of dropping an output.
        training: the other chances.
        batch: B.
        width: E, what the first layer takes in.
        device: where the masks are wanted.
    """
    if not (model.dropout or training.embedding_dropout or training.weight_dropout):
        return None
    matrix = parameters.recurrent_shape(model)

    def mask(shape: tuple[int, int], chance: float) -> Tensor | None:
        return _mask(shape, chance, device) if chance else None

    return DropoutMasks(
        inputs=mask((batch, width), training.embedding_dropout),
        outputs=tuple(mask((batch, model.hidden), model.dropout) for _ in range(model.layers)),
        recurrent=tuple(mask(matrix, training.weight_dropout) for _ in range(model.layers)),
    )


def _mask(shape: tuple[int, int], chance: float, device: torch.device) -> Tensor:
    """Returns a mask; on a CPU it compares 16 random bits an entry, which fix a chance to 1/65,536.

    Four entries share one draw of the generator: three times as fast as ``bernoulli_``, and a mask
    over a recurrent matrix is a tenth of a step's work.
    """
    if device.type != "cpu":
        return torch.empty(shape, device=device).bernoulli_(1 - chance).div_(1 - chance)
    count = shape[0] * shape[1]
    draws = torch.empty(-(-count // 4), dtype=torch.int64)
    bits = draws.random_(-(2**63), None).view(torch.int16)[:count]
    dropped = min(max(1, round(chance * 2**16)), 2**16 - 1)
    kept = bits.view(shape) >= dropped - 2**15
    return kept.to(torch.float32).mul_(2**16 / (2**16 - dropped))
