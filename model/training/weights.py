"""The network in training with its optimiser and its exponential moving average. PyTorch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.compute.device import Machine
from model.compute.host_copy import HostCopy
from model.config import TrainingConfig
from model.network.character_network import CharacterNetwork
from model.runs.checkpoint import without_prefix
from model.runs.checkpoint_form import AVERAGE_PREFIX, OPTIMISER_PREFIX, WEIGHT_PREFIX
from model.training.optimiser import make_optimiser


class Piece:
    """Parameters that an operation takes at once: only matrices, or only biases."""

    def __init__(self, weights: Tensor, parameters: Mapping[str, Tensor]) -> None:
        """Keeps the weights.

        Args:
            weights: the only parameter, or [N], all numbers of several ones.
            parameters: by name.
        """
        self.weights = weights
        self.are_matrices = next(iter(parameters.values())).ndim > 1
        self._parameters = parameters

    def divided(self, numbers: Tensor) -> dict[str, Tensor]:
        """Returns each parameter's part of numbers like ``weights``; of a scalar, the scalar."""
        if not numbers.ndim:
            return dict.fromkeys(self._parameters, numbers)
        sizes = [value.numel() for value in self._parameters.values()]
        parts = torch.split(numbers.reshape(-1), sizes)
        return {
            name: part.view_as(value)
            for (name, value), part in zip(self._parameters.items(), parts, strict=True)
        }

    def joined(self, numbers: Mapping[str, Tensor]) -> Tensor:
        """Returns what `divided` divided, as a copy; a scalar may be saved as [1]."""
        parts = [numbers[name].reshape(-1) for name in self._parameters]
        whole = sum(map(len, parts)) == self.weights.numel()
        return torch.cat(parts).view_as(self.weights) if whole else parts[0].clone().view(())


class Parameters:
    """The parameters of a network, with memory for their gradients, as few tensors.

    On a CPU they lie in one buffer, because to call an operation for each parameter of a small
    network takes longer than the operation. On a GPU they stay, because cuDNN orders them.
    """

    def __init__(self, network: CharacterNetwork) -> None:
        named: dict[str, Tensor] = dict(network.named_parameters())
        matrices = {name: value for name, value in named.items() if value.ndim > 1}
        biases = {name: value for name, value in named.items() if value.ndim <= 1}
        every = [*matrices.values(), *biases.values()]
        if network.head.weight.device.type != "cpu":
            self.tensors, self.gradients = every, [torch.zeros_like(value) for value in every]
            for value, gradient in zip(self.tensors, self.gradients, strict=True):
                value.grad = gradient
            self.pieces = [Piece(value, {name: value}) for name, value in named.items()]
            return
        weights = torch.cat([value.detach().reshape(-1) for value in every])
        gradient = torch.zeros_like(weights)
        self.tensors, self.gradients = [weights], [gradient]
        """All numbers, and their gradients."""
        count = sum(value.numel() for value in matrices.values())
        self.pieces = [
            _part_of_buffer(weights[:count], gradient[:count], matrices),
            _part_of_buffer(weights[count:], gradient[count:], biases),
        ]
        """All numbers, too, but none has both matrices and biases."""


def _part_of_buffer(weights: Tensor, gradient: Tensor, named: Mapping[str, Tensor]) -> Piece:
    """Returns parameters as a piece [N] of a buffer, to which it moves them."""
    piece = Piece(weights, named)
    weights.grad = gradient
    for name, part in piece.divided(weights).items():
        named[name].data = part
    for name, part in piece.divided(gradient).items():
        named[name].grad = part
    return piece


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
        self._parameters = Parameters(network)
        matrices, biases = (
            [piece.weights for piece in self._parameters.pieces if piece.are_matrices is kind]
            for kind in (True, False)
        )
        self.optimiser = make_optimiser(matrices, biases, training)
        self.average = EmaWeights(network, decay) if decay else None
        self.average_leads = False
        """Whether the averaged weights have a lower validation loss than the last ones."""
        self.step_count = 0
        """Steps made, including those that changed no weight."""
        self.first_step = 0
        """Steps before those of this network; not 0 for a student."""
        self._device = machine.device

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
        gradients = self._parameters.gradients
        with torch.no_grad():
            norm = _norm(gradients)
            # A GPU multiplies by 1, too, because to ask it for the norm would be to wait.
            is_short = self._device.type == "cpu" and float(norm) + 1e-6 <= limit
            if limit < math.inf and not is_short:
                # As `nn.utils.clip_grad_norm_`, in a quarter of its calls.
                torch._foreach_mul_(gradients, torch.clamp(limit / (norm + 1e-6), max=1))
        return norm

    def update_average(self) -> None:
        """Takes the present weights into the EMA."""
        if self.average is not None:
            self.average.update(self.step_count - self.first_step)

    def begin_again(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Replaces the weights by those of an untrained network."""
        self.network.load_arrays(weights)
        if self.average is not None:
            self.average.follow_from_here()
        self.optimiser.state.clear()
        self.average_leads, self.first_step = False, self.step_count

    def are_finite(self) -> bool:
        """Tells whether every weight is finite. A finite gradient can still overflow a weight."""
        return math.isfinite(float(_norm(self._parameters.tensors)))

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Returns copies of weights, EMA and optimiser state under their names in a checkpoint."""
        tensors: dict[str, npt.NDArray[Any]] = {
            WEIGHT_PREFIX + name: value for name, value in _arrays(self.network).items()
        }
        if self.average is not None:
            averaged = _arrays(self.average.network)
            tensors |= {AVERAGE_PREFIX + name: value for name, value in averaged.items()}
        for piece in self._parameters.pieces:
            for slot, values in self.optimiser.state.get(piece.weights, {}).items():
                for name, part in piece.divided(values).items():
                    tensors[f"{OPTIMISER_PREFIX}{name}.{slot}"] = numpy_copy(part)
        return tensors

    def load(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restores what `tensors` returned. Without a saved EMA the EMA restarts here."""
        self.network.load_arrays(without_prefix(tensors, WEIGHT_PREFIX))
        if self.average is not None:
            self.average.follow_from_here()
            if any(name.startswith(AVERAGE_PREFIX) for name in tensors):
                self.average.load_arrays(without_prefix(tensors, AVERAGE_PREFIX))
        self.optimiser.state.clear()
        saved = without_prefix(tensors, OPTIMISER_PREFIX)
        for slot in sorted({key.rpartition(".")[2] for key in saved}):
            ending = f".{slot}"
            parts = {
                key.removesuffix(ending): torch.from_numpy(value)
                for key, value in saved.items()
                if key.endswith(ending)
            }
            for piece in self._parameters.pieces:
                state = self.optimiser.state.setdefault(piece.weights, {})
                state[slot] = piece.joined(parts).to(self._device)


def _norm(tensors: list[Tensor]) -> Tensor:
    """Returns the L2 norm of all numbers, a scalar."""
    norms = torch._foreach_norm(tensors)  # noqa: SLF001
    return norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))


def _arrays(network: CharacterNetwork) -> dict[str, npt.NDArray[np.float32]]:
    """Returns copies of a network's weights under the names of its state dict."""
    return HostCopy(network.state_dict()).arrays()


def numpy_copy(tensor: Tensor) -> npt.NDArray[Any]:
    """Returns a copy in CPU memory."""
    return tensor.detach().to("cpu", copy=True).numpy()
