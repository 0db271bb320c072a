"""Shapes and first values of a stack of gated layers, under the names of ``torch.nn``. NumPy.

Letters: G gates, E embedding, V vocabulary, H hidden.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from model.network.network_form import NetworkForm, Shapes, glorot, orthogonal


class GatedForm(NetworkForm):
    """Layers with matrices [GH, E or V or H] and [GH, H] and two biases [GH] each."""

    name: ClassVar[str]
    """Under which the torch module has its layers; ``nn``'s names follow."""
    gates: ClassVar[int]

    def parameter_shapes(self, vocabulary_size: int) -> Shapes:
        """Returns the shape of each tensor in the network's state dict."""
        hidden, rows = self.model.hidden, self.gates * self.model.hidden
        shapes = self.outer_shapes(vocabulary_size)
        width = self.model.embedding or vocabulary_size
        for layer in range(self.model.layers):
            shapes[f"{self.name}.weight_ih_l{layer}"] = (rows, width if layer == 0 else hidden)
            shapes[f"{self.name}.weight_hh_l{layer}"] = (rows, hidden)
            shapes[f"{self.name}.bias_ih_l{layer}"] = (rows,)
            shapes[f"{self.name}.bias_hh_l{layer}"] = (rows,)
        return shapes

    @property
    def recurrent_shape(self) -> tuple[int, int]:
        """The shape of the matrix that weight dropout acts on, in each layer."""
        return self.gates * self.model.hidden, self.model.hidden

    def first_value(
        self, random: np.random.Generator, name: str, shape: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        """Returns Glorot inputs, orthogonal recurrence per gate (Saxe et al. 2014), zero biases."""
        if "weight_hh" in name:
            return np.concatenate([orthogonal(random, shape[1]) for _ in range(self.gates)])
        return glorot(random, shape) if "weight" in name else np.zeros(shape)
