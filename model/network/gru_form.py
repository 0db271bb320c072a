"""The GRU without torch: shapes, first values, frozen weights. NumPy.

Equations: Cho et al. (2014) in the form of ``torch.nn.GRU``, whose reset gate acts on the product
of the hidden state, not on the state. Letters: V vocabulary, E embedding, H hidden, L layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.network.gated_form import GatedForm
from model.network.network_form import Shapes, Weights
from model.network.snapshot import FloatArray, WeightSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class GruLayer:
    """One layer: gates of the input and gates of the state, in the order reset, update, candidate.

    Rows of the first two gates are halved, so that ``sigmoid(x) = tanh(x / 2) / 2 + 1/2`` needs one
    ``tanh``.
    """

    inputs: FloatArray
    """What the layer's input adds with its bias: [V, 3H], a row for each character, in the first
    layer; the matrix [3H, H] above it."""
    input_bias: FloatArray
    """[3H]"""
    recurrent: FloatArray
    """[3H, H]"""
    recurrent_bias: FloatArray
    """[3H]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GruSnapshot(WeightSnapshot):
    """Frozen weights of a GRU; the arrays are copies."""

    layers: tuple[GruLayer, ...]
    head_matrix: FloatArray
    """[V, H]"""
    head_bias: FloatArray
    """[V]"""

    def has_shape_of(self, other: WeightSnapshot) -> bool:
        """Whether a stepper of the other weights can go on with these."""
        return (
            isinstance(other, GruSnapshot)
            and self.head_matrix.shape == other.head_matrix.shape
            and len(self.layers) == len(other.layers)
        )


class GruForm(GatedForm):
    """Three gates in PyTorch's order: reset, update, candidate."""

    name = "gru"
    gates = 3

    def state_shapes(self, streams: int) -> Shapes:
        """Returns the shape of the hidden state."""
        return {"hidden": (self.model.layers, streams, self.model.hidden)}

    def snapshot(self, weights: Weights, *, step: int, precision: str) -> WeightSnapshot:
        """Copies weights into the layout that the GRU's steppers read."""
        layers = []
        for layer in range(self.model.layers):
            inner, recurrent, inner_bias, recurrent_bias = (
                self._halved(weights[f"gru.{name}_l{layer}"])
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            if layer == 0:
                embedding = weights.get("embedding.weight")
                projected = inner if embedding is None else inner @ embedding.T
                inner = np.ascontiguousarray(projected.T) + inner_bias
            layers.append(
                GruLayer(
                    inputs=inner,
                    input_bias=inner_bias,
                    recurrent=recurrent,
                    recurrent_bias=recurrent_bias,
                )
            )
        return GruSnapshot(
            step=step,
            precision=precision,
            layers=tuple(layers),
            head_matrix=weights["head.weight"].copy(),
            head_bias=weights["head.bias"].copy(),
        )

    def _halved(self, rows: FloatArray) -> FloatArray:
        """Returns a copy of rows [3H, ...] with those of reset and update halved."""
        copy = np.array(rows, np.float32)
        copy[: 2 * self.model.hidden] *= np.float32(0.5)
        return copy
