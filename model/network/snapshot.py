"""Immutable copies of a network's weights, laid out for sampling one character at a time. NumPy.

The trainer makes one and hands it over, so a sampler never reads weights that are being updated.
Letters: V vocabulary, E embedding, H hidden, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
HALF: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerWeights:
    """One LSTM layer: ``gates = matrix @ concatenate(input, hidden) + bias``.

    Rows are in the order input, forget, output, candidate; PyTorch swaps the last two. Rows of the
    first three gates are halved, so that one ``tanh`` over all rows computes every gate:
    ``sigmoid(x) = tanh(x / 2) / 2 + 1/2``. If gates are normalised,
    ``gates = gain * sums / rms(sums) + bias``, and gain and bias are halved instead of the matrix.
    """

    matrix: FloatArray
    """[4H, H] in the first layer, whose inputs are in the snapshot's table; [4H, 2H] above it.

    Row-major: each thread that shares a product with a vector keeps its rows in its own cache, and
    the product is the same for any number of threads."""
    bias: FloatArray | None
    """[4H]; None in the first layer, where the table contains it, unless gates are normalised."""
    gain: FloatArray | None = None
    """[4H], of normalised gates; None for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSnapshot:
    """Frozen weights of any network; a subclass holds the arrays that its steppers read."""

    step: int
    """Optimiser steps behind these weights."""
    precision: str = "fp32"
    """``bf16`` or ``fp32``: type of the matrix products in training, which a sampler may use."""

    def has_shape_of(self, other: WeightSnapshot) -> bool:
        """Whether a stepper of the other weights can go on with these."""
        return type(self) is type(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class LstmSnapshot(WeightSnapshot):
    """Frozen weights of an LSTM; arrays are read-only."""

    input_table: FloatArray
    """[V, 4H]: what each character adds to the first layer's gates, biases included unless gates
    are normalised."""
    layers: tuple[LayerWeights, ...]
    head_matrix: FloatArray
    """[V, H]"""
    head_bias: FloatArray
    """[V]"""

    @property
    def hidden(self) -> int:
        """H, units per layer."""
        return int(self.head_matrix.shape[1])

    def has_shape_of(self, other: WeightSnapshot) -> bool:
        """Whether a stepper of the other weights can go on with these."""
        return (
            isinstance(other, LstmSnapshot)
            and (self.hidden, len(self.layers)) == (other.hidden, len(other.layers))
            and self.vocabulary_size == other.vocabulary_size
            and self.is_normalised == other.is_normalised
        )

    @property
    def is_normalised(self) -> bool:
        """Whether gates are normalised."""
        return self.layers[0].gain is not None

    @property
    def vocabulary_size(self) -> int:
        """V, number of symbols."""
        return int(self.head_matrix.shape[0])

    @classmethod
    def from_weights(
        cls,
        weights: Mapping[str, npt.NDArray[np.float32]],
        *,
        step: int,
        precision: str = "fp32",
    ) -> LstmSnapshot:
        """Copies weights under the names of ``torch.nn``'s state dict.

        Args:
            weights: ``embedding.weight`` [V, E] (absent for one-hot input), ``lstm.weight_ih_l*``
                [4H, E or V or H], ``lstm.weight_hh_l*`` [4H, H], ``lstm.bias_ih_l*``,
                ``lstm.bias_hh_l*`` [4H], ``lstm.gain_l*`` [4, H] (of normalised gates),
                ``head.weight`` [V, H], ``head.bias`` [V]. Later changes of these arrays do not
                change the snapshot.
            step: optimiser steps behind these weights.
            precision: see ``WeightSnapshot``.
        """
        layers: list[LayerWeights] = []
        table: FloatArray | None = None
        while f"lstm.weight_ih_l{len(layers)}" in weights:
            index = len(layers)
            input_matrix = weights[f"lstm.weight_ih_l{index}"]
            matrix = weights[f"lstm.weight_hh_l{index}"]
            bias = weights[f"lstm.bias_ih_l{index}"] + weights[f"lstm.bias_hh_l{index}"]
            gain = weights.get(f"lstm.gain_l{index}")
            in_table = index == 0 and gain is None
            sums_scale = HALF if gain is None else 1.0
            if index == 0:
                embedding = weights.get("embedding.weight")
                projected = input_matrix if embedding is None else input_matrix @ embedding.T
                projected = projected + bias[:, None] if in_table else projected
                table = _frozen(_kernel_rows(projected, sums_scale).T)
            else:
                matrix = np.concatenate([input_matrix, matrix], axis=1)
            layers.append(
                LayerWeights(
                    matrix=_frozen(_kernel_rows(matrix, sums_scale)),
                    bias=None if in_table else _frozen(_kernel_rows(bias, HALF)),
                    gain=None if gain is None else _frozen(_kernel_rows(gain.reshape(-1), HALF)),
                )
            )
        assert table is not None, "a network has at least one layer"
        return cls(
            step=step,
            precision=precision,
            input_table=table,
            layers=tuple(layers),
            head_matrix=_frozen(weights["head.weight"]),
            head_bias=_frozen(weights["head.bias"]),
        )


def _kernel_rows(rows: FloatArray, scale: float) -> FloatArray:
    """Reorders gate rows [4H, ...] from PyTorch's i, f, g, o to i, f, o, g; scales i, f, o."""
    input_gate, forget_gate, candidate, output_gate = np.split(rows, 4)
    factor = np.float32(scale)
    scaled = (gate * factor for gate in (input_gate, forget_gate, output_gate))
    return np.concatenate([*scaled, candidate])


def _frozen(array: FloatArray) -> FloatArray:
    """Returns a read-only float32 copy, contiguous and row-major."""
    copy = np.array(array, dtype=np.float32, order="C")
    copy.flags.writeable = False
    return copy
