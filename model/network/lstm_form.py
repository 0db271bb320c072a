"""The LSTM without torch: shapes, first values, snapshot. NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from model.network.gated_form import GatedForm
from model.network.network_form import Shapes, Weights
from model.network.snapshot import LstmSnapshot, WeightSnapshot


class LstmForm(GatedForm):
    """Four gates in PyTorch's order: input, forget, candidate, output."""

    name = "lstm"
    gates = 4

    def state_shapes(self, streams: int) -> Shapes:
        """Returns the shapes of hidden and cell state."""
        shape = (self.model.layers, streams, self.model.hidden)
        return {"hidden": shape, "cell": shape}

    def first_value(
        self, random: np.random.Generator, name: str, shape: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        """Returns Keras' initial values: as in `GatedForm`, with a forget bias of 1.

        The forget bias is from Jozefowicz et al. (2015).
        """
        value = super().first_value(random, name, shape)
        if "bias_ih" in name:  # PyTorch adds two biases; only this one contains the 1
            value[self.model.hidden : 2 * self.model.hidden] = 1.0
        return value

    def snapshot(self, weights: Weights, *, step: int, precision: str) -> WeightSnapshot:
        """Copies weights into the layout that the LSTM's steppers read."""
        return LstmSnapshot.from_weights(weights, step=step, precision=precision)


class NormalisedLstmForm(LstmForm):
    """An LSTM whose gates are normalised, with one more weight of each gate: its gain.

    Gains decay as matrices do. Normalised sums do not depend on how large the matrices are, so the
    decay of these alone would not keep the gates from becoming hard.
    """

    def parameter_shapes(self, vocabulary_size: int) -> Shapes:
        """Returns those of the LSTM and, of each layer, the gain [4, H]."""
        gains = {
            f"lstm.gain_l{layer}": (4, self.model.hidden) for layer in range(self.model.layers)
        }
        return super().parameter_shapes(vocabulary_size) | gains

    def first_value(
        self, random: np.random.Generator, name: str, shape: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        """Returns the LSTM's values; gains of 1."""
        return np.ones(shape) if "gain" in name else super().first_value(random, name, shape)
