"""A snapshot whose weights are still being copied from the device. PyTorch."""

from __future__ import annotations

from model.compute.host_copy import HostCopy
from model.network import parameters
from model.network.character_network import CharacterNetwork
from model.network.snapshot import WeightSnapshot


class PendingSnapshot:
    """A snapshot that does not block the device while its weights are copied."""

    def __init__(self, network: CharacterNetwork, step: int) -> None:
        """Starts to copy.

        Args:
            network: whose weights are copied.
            step: optimiser steps behind these weights.
        """
        self._model = network.config
        self._weights = HostCopy(network.state_dict())
        self._step = step

    @property
    def ready(self) -> bool:
        """Whether `snapshot` returns without waiting."""
        return self._weights.ready

    def snapshot(self) -> WeightSnapshot:
        """Returns the weights of the moment at which copying started."""
        return parameters.weight_snapshot(self._model, self._weights.arrays(), step=self._step)
