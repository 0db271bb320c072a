"""The causal dilated convolution without torch: shapes, first values, frozen weights. NumPy.

A layer is a stack of six blocks, which read one character 1, 2, 4, 8, 16 or 32 places back beside
the present one (dilations of van den Oord et al. 2016), so a stack sees 64 characters. A block adds
``a * sigmoid(b)`` to its input ``x`` (gated linear unit, Dauphin et al. 2017), where ``a`` and
``b`` are a convolution of ``x`` after an RMSNorm (Zhang & Sennrich 2019). Each stack ends with an
RMSNorm. Letters: V vocabulary, E embedding, H channels, L stacks, N blocks of all stacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from model.config import ModelConfig
from model.network.network_form import NetworkForm, Shapes, Weights
from model.network.snapshot import FloatArray, WeightSnapshot

DILATIONS: Final = (1, 2, 4, 8, 16, 32)
"""Of the blocks of a stack."""
TAPS: Final = 2
"""Characters that a block reads."""


def dilations_of(model: ModelConfig) -> tuple[int, ...]:
    """Returns how many characters back each block reads, [N]."""
    return DILATIONS * model.layers


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvSnapshot(WeightSnapshot):
    """Frozen weights of a convolution; the arrays are copies.

    The gains of each RMSNorm are multiplied into what reads it, except those between two stacks.
    """

    input_table: FloatArray
    """[V, H]: what each character is to the first block, the bias included."""
    blocks: tuple[tuple[FloatArray, FloatArray], ...]
    """Matrix [2H, 2H] and bias [2H] of each block; the character further back comes first."""
    gains: tuple[FloatArray, ...]
    """[H] at the end of each stack."""
    head_matrix: FloatArray
    """[V, H]"""
    head_bias: FloatArray
    """[V]"""

    def has_shape_of(self, other: WeightSnapshot) -> bool:
        """Whether a stepper of the other weights can go on with these."""
        return (
            isinstance(other, ConvSnapshot)
            and self.head_matrix.shape == other.head_matrix.shape
            and len(self.blocks) == len(other.blocks)
        )


class ConvForm(NetworkForm):
    """Stacks of dilated blocks, under the names of ``nn.Conv1d``, ``nn.Linear``, ``nn.RMSNorm``."""

    def parameter_shapes(self, vocabulary_size: int) -> Shapes:
        """Returns the shape of each tensor in the network's state dict."""
        width = self.model.hidden
        shapes = self.outer_shapes(vocabulary_size)
        shapes["inputs.weight"] = (width, self.model.embedding or vocabulary_size)
        shapes["inputs.bias"] = (width,)
        for block in range(len(dilations_of(self.model))):
            shapes[f"norms.{block}.weight"] = (width,)
            shapes[f"blocks.{block}.weight"] = (2 * width, width, TAPS)
            shapes[f"blocks.{block}.bias"] = (2 * width,)
        for layer in range(self.model.layers):
            shapes[f"ends.{layer}.weight"] = (width,)
        return shapes

    def state_shapes(self, streams: int) -> Shapes:
        """Returns the shapes of what each block still reads of the characters before."""
        return {
            f"context_{block}": (dilation, streams, self.model.hidden)
            for block, dilation in enumerate(dilations_of(self.model))
        }

    @property
    def recurrent_shape(self) -> tuple[int, int]:
        """The shape of the matrices of a stack, below each other: weight dropout acts on them."""
        return len(DILATIONS) * 2 * self.model.hidden, TAPS * self.model.hidden

    def first_value(
        self, random: np.random.Generator, name: str, shape: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        """Returns ones for gains, zeros for biases, PyTorch's uniform numbers for matrices."""
        if "bias" in name:
            return np.zeros(shape)
        if len(shape) == 1:
            return np.ones(shape)
        limit = np.prod(shape[1:]) ** -0.5
        return random.uniform(-limit, limit, shape)

    def snapshot(self, weights: Weights, *, step: int, precision: str) -> WeightSnapshot:
        """Copies weights into the layout that the convolution's stepper reads."""
        inner, embedding = weights["inputs.weight"], weights.get("embedding.weight")
        projected = inner.T if embedding is None else embedding @ inner.T
        gains = [weights[f"ends.{layer}.weight"] for layer in range(self.model.layers)]
        return ConvSnapshot(
            step=step,
            precision=precision,
            input_table=projected + weights["inputs.bias"],
            blocks=tuple(
                _folded(*(weights[f"{name}.{block}.{kind}"] for name, kind in _OF_A_BLOCK))
                for block in range(len(dilations_of(self.model)))
            ),
            gains=tuple(gain.copy() for gain in gains),
            head_matrix=weights["head.weight"].copy(),
            head_bias=weights["head.bias"].copy(),
        )


_OF_A_BLOCK: Final = (("blocks", "weight"), ("norms", "weight"), ("blocks", "bias"))


def _folded(
    kernel: FloatArray, gain: FloatArray, bias: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Returns a block's matrix [2H, 2H] and bias from its kernel [2H, H, 2] and gain [H]."""
    scaled = kernel * gain[:, None]
    return np.concatenate([scaled[..., tap] for tap in range(TAPS)], axis=1), bias.copy()
