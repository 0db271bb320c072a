"""An immutable picture of a network's weights, laid out for sampling one character at a time.

NumPy only. The trainer takes one and hands it over; nobody ever reads weights that are being
updated. Letters: V vocabulary, E embedding, H hidden, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerWeights:
    """One LSTM layer: ``gates = matrix @ concatenate(input, hidden) + bias``.

    Rows are in the order input, forget, output, candidate (PyTorch has the last two swapped), and
    the first three are halved, so that one ``tanh`` over the whole slab serves all four gates:
    ``sigmoid(x) = tanh(x / 2) / 2 + 1/2``.
    """

    matrix: FloatArray
    """[4H, H] in the first layer, whose input is in the snapshot's table; [4H, 2H] above it.

    Stored row by row: then threads can share its product with a vector and each keep its own rows
    in its cache, and the product is the same for any number of threads."""
    bias: FloatArray | None
    """[4H]; None in the first layer (folded into the table)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSnapshot:
    """Everything that the sampling kernel needs; arrays are read-only."""

    step: int
    input_table: FloatArray
    """[V, 4H]: what each character adds to the first layer's gates, biases included."""
    layers: tuple[LayerWeights, ...]
    head_matrix: FloatArray
    """[V, H]"""
    head_bias: FloatArray
    """[V]"""
    precision: str = "fp32"
    """``bf16`` or ``fp32``: type of the matrix products that it was trained with, and that a writer
    may take."""

    @property
    def hidden(self) -> int:
        """H, units per layer."""
        return int(self.head_matrix.shape[1])

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
    ) -> WeightSnapshot:
        """Copies weights under the names of ``torch.nn``'s state dict.

        Args:
            weights: ``embedding.weight`` [V, E] (absent for one-hot input), ``lstm.weight_ih_l*``
                [4H, E or V or H], ``lstm.weight_hh_l*`` [4H, H], ``lstm.bias_ih_l*``,
                ``lstm.bias_hh_l*`` [4H], ``head.weight`` [V, H], ``head.bias`` [V]. They may
                change afterwards; the snapshot does not.
            step: optimiser steps behind these weights.
            precision: see ``WeightSnapshot``.
        """
        layers: list[LayerWeights] = []
        table: FloatArray | None = None
        while f"lstm.weight_ih_l{len(layers)}" in weights:
            index = len(layers)
            input_matrix = weights[f"lstm.weight_ih_l{index}"]
            hidden_matrix = weights[f"lstm.weight_hh_l{index}"]
            bias = weights[f"lstm.bias_ih_l{index}"] + weights[f"lstm.bias_hh_l{index}"]
            if index == 0:
                embedding = weights.get("embedding.weight")
                projected = input_matrix if embedding is None else input_matrix @ embedding.T
                table = _frozen(_kernel_rows(projected + bias[:, None]).T)
                matrix = _frozen(_kernel_rows(hidden_matrix))
                layers.append(LayerWeights(matrix=matrix, bias=None))
            else:
                both = np.concatenate([input_matrix, hidden_matrix], axis=1)
                layers.append(
                    LayerWeights(
                        matrix=_frozen(_kernel_rows(both)),
                        bias=_frozen(_kernel_rows(bias)),
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


def _kernel_rows(rows: FloatArray) -> FloatArray:
    """Reorders gate rows [4H, ...] from PyTorch's i, f, g, o to i, f, o, g; halves i, f, o."""
    input_gate, forget_gate, candidate, output_gate = np.split(rows, 4)
    half = np.float32(0.5)
    return np.concatenate([input_gate * half, forget_gate * half, output_gate * half, candidate])


def _frozen(array: FloatArray) -> FloatArray:
    """Returns a private, read-only float32 copy in one piece, row by row."""
    copy = np.array(array, dtype=np.float32, order="C")
    copy.flags.writeable = False
    return copy
