"""The network in training with its optimiser and its exponential moving average. PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.compute.device import Machine
from model.compute.host_copy import HostCopy
from model.config import TrainingConfig
from model.network.character_network import CharacterNetwork
from model.runs.checkpoint import without_prefix
from model.runs.checkpoint_form import AVERAGE_PREFIX, OPTIMISER_PREFIX, WEIGHT_PREFIX
from model.training.optimiser import make_optimiser


class EmaWeights:
    """Follows a network's weights: ``average += (1 - decay) * (weights - average)``.

    Polyak & Juditsky (1992) averaged all steps; the exponential form forgets the early ones.
    Averaged weights lie nearer to the middle of the valley in which the last weights bounce.

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


class TrainedWeights:
    """Weights, optimiser state and EMA, which are saved, restored and rolled back together."""

    def __init__(
        self, network: CharacterNetwork, training: TrainingConfig, machine: Machine, decay: float
    ) -> None:
        """Moves the network to the machine's device.

        Args:
            network: with its first weights.
            training: chooses the optimiser.
            machine: gives the device.
            decay: of the EMA; 0 keeps no EMA.
        """
        self.network = network.to(machine.device).train()
        self.optimiser = make_optimiser(network.parameters(), training)
        self.average = EmaWeights(network, decay) if decay else None
        self.average_leads = False
        """Whether the averaged weights have a lower validation loss than the last ones."""
        self.step_count = 0
        """Steps made, including those that changed no weight."""
        self._device = machine.device
        self._parameters = list(network.parameters())  # walking all modules each step is slow

    @property
    def networks(self) -> list[CharacterNetwork]:
        """The networks to validate, the best known first.

        Once the averaged weights have won, they keep winning, because the learning rate only
        falls. Until then both are validated.
        """
        if self.average is None:
            return [self.network]
        if self.average_leads:
            return [self.average.network]
        return [self.network, self.average.network]

    def set_learning_rate(self, rate: float) -> None:
        """Sets the rate of the next update."""
        self.optimiser.learning_rate = rate

    def clip_gradients(self, limit: float) -> Tensor:
        """Clips the global gradient norm to ``limit``; returns the norm before, a scalar."""
        return nn.utils.clip_grad_norm_(self._parameters, limit)

    def update_average(self) -> None:
        """Takes the present weights into the EMA."""
        if self.average is not None:
            self.average.update(self.step_count)

    def are_finite(self) -> bool:
        """Tells whether every weight is finite. A finite gradient can still overflow a weight."""
        norm = nn.utils.get_total_norm(self._parameters)
        return bool(torch.isfinite(norm))

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Returns copies of weights, EMA and optimiser state under their names in a checkpoint."""
        tensors: dict[str, npt.NDArray[Any]] = {
            WEIGHT_PREFIX + name: value for name, value in _arrays(self.network).items()
        }
        if self.average is not None:
            averaged = _arrays(self.average.network)
            tensors |= {AVERAGE_PREFIX + name: value for name, value in averaged.items()}
        names = {id(p): name for name, p in self.network.named_parameters()}
        for parameter, values in self.optimiser.state.items():
            for key, value in values.items():
                tensors[f"{OPTIMISER_PREFIX}{names[id(parameter)]}.{key}"] = numpy_copy(value)
        return tensors

    def load(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restores what `tensors` returned. Without a saved EMA the EMA restarts here."""
        self.network.load_arrays(without_prefix(tensors, WEIGHT_PREFIX))
        if self.average is not None:
            self.average.follow_from_here()
            if any(name.startswith(AVERAGE_PREFIX) for name in tensors):
                self.average.load_arrays(without_prefix(tensors, AVERAGE_PREFIX))
        self.optimiser.state.clear()
        for name, parameter in self.network.named_parameters():
            prefix = f"{OPTIMISER_PREFIX}{name}."
            for key, value in tensors.items():
                if key.startswith(prefix):
                    slot = key.removeprefix(prefix)
                    tensor = torch.from_numpy(value.copy()).to(self._device)
                    self.optimiser.state.setdefault(parameter, {})[slot] = tensor


def _arrays(network: CharacterNetwork) -> dict[str, npt.NDArray[np.float32]]:
    """Returns copies of a network's weights under the names of its state dict."""
    return HostCopy(network.state_dict()).arrays()


def numpy_copy(tensor: Tensor) -> npt.NDArray[Any]:
    """Returns a copy in CPU memory."""
    return tensor.detach().to("cpu", copy=True).numpy()
