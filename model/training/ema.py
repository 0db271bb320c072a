"""Averaged weights: an exponential moving average of what the optimiser goes through. PyTorch.

Polyak & Juditsky (1992) averaged all steps; the exponential form forgets the early ones. Averaged
weights lie nearer to the middle of the valley that the last ones bounce about in.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.network.character_network import CharacterNetwork


class EmaWeights:
    """Follows a network's weights: ``average += (1 - decay) * (weights - average)``.

    The decay grows with the steps, ``min(decay, (1 + n) / (10 + n))``, so that a short training is
    not dominated by where it began.
    """

    def __init__(self, network: CharacterNetwork, decay: float) -> None:
        self.network = type(network)(network.config, network.vocabulary_size)
        """A network with the averaged weights."""
        self.network.to(network.head.weight.device).requires_grad_(requires_grad=False).eval()
        self._decay = decay
        self._followed: list[Tensor] = [weight.detach() for weight in network.parameters()]
        self._average: list[Tensor] = list(self.network.parameters())
        self.follow_from_here()

    def follow_from_here(self) -> None:
        """Sets the average to the weights as they are."""
        with torch.no_grad():
            torch._foreach_copy_(self._average, self._followed)

    def update(self, step: int) -> None:
        """Takes in the weights after ``step`` steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(self._average, self._followed, 1 - decay)

    def load_arrays(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Puts a saved average back."""
        self.network.load_arrays(weights)
