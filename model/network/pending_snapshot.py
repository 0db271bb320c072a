"""Weights for the sampler, on their way from the device. PyTorch."""

from __future__ import annotations

from model.compute.host_copy import HostCopy
from model.network import parameters
from model.network.character_network import CharacterNetwork
from model.network.snapshot import WeightSnapshot


class PendingSnapshot:
    """A snapshot whose weights are on their way from the device."""

    def __init__(self, network: CharacterNetwork, step: int) -> None:
        """Begins to copy."""
        self._weights = HostCopy(network.state_dict())
        self._step = step

    @property
    def ready(self) -> bool:
        """Whether `snapshot` need not wait."""
        return self._weights.ready

    def snapshot(self) -> WeightSnapshot:
        """Returns the weights as they were when this was made."""
        return parameters.weight_snapshot(self._weights.arrays(), step=self._step)
