"""The optimisers: AdamW, and the RMSprop of the classic notebook. PyTorch.

They replace those of ``torch.optim``, which import a compiler that we do not use: a second of every
start, and 70 MB. State, names and bits are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import torch
from torch import Tensor

from model.config import TrainingConfig

BETA_1: Final = 0.9
BETA_2: Final = 0.99
ADAM_EPSILON: Final = 1e-8
RMSPROP_DECAY: Final = 0.9
KERAS_EPSILON: Final = 1e-7

OptimiserState = dict[Tensor, dict[str, Tensor]]
"""Of each parameter, its tensors by name; ``step``, a float32 scalar, counts its updates."""


class Optimiser(Protocol):
    """Changes weights by their gradients."""

    learning_rate: float
    """Of the next step."""
    state: OptimiserState
    """Empty before the first step; may be replaced between two steps."""

    def step(self, found_inf: Tensor | None = None) -> None:
        """Changes the weights.

        Args:
            found_inf: float32 scalar on the device; if it is 1 when the device comes to it, nothing
                changes. Only `AdamW` takes one.
        """


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), which spares the biases."""

    def __init__(
        self,
        matrices: Iterable[Tensor],
        biases: Iterable[Tensor],
        *,
        learning_rate: float,
        weight_decay: float,
    ) -> None:
        """Keeps the parameters; the state begins with the first step.

        Args:
            matrices: of any shape, with ``grad``.
            biases: with ``grad``; they do not decay.
            learning_rate: of the first step.
            weight_decay: matrices shrink by this times the learning rate.
        """
        self.learning_rate = learning_rate
        self.state: OptimiserState = {}
        groups = [(weight_decay, list(matrices)), (0.0, list(biases))]
        self._groups = [(decay, weights) for decay, weights in groups if weights]

    def step(self, found_inf: Tensor | None = None) -> None:
        """Changes the weights; see `Optimiser`."""
        for weight_decay, weights in self._groups:
            counts, means, squares = _state_of(
                self.state, weights, ("step", "exp_avg", "exp_avg_sq")
            )
            with torch.no_grad():
                torch._foreach_add_(counts, 1)
                torch._fused_adamw_(
                    weights,
                    [_gradient(weight) for weight in weights],
                    means,
                    squares,
                    [],
                    counts,
                    amsgrad=False,
                    lr=self.learning_rate,
                    beta1=BETA_1,
                    beta2=BETA_2,
                    weight_decay=weight_decay,
                    eps=ADAM_EPSILON,
                    maximize=False,
                    found_inf=found_inf,
                )
                if found_inf is not None:
                    torch._foreach_sub_(counts, [found_inf] * len(counts))


class RMSprop:
    """RMSprop (Tieleman & Hinton 2012) with the settings of Keras."""

    def __init__(self, parameters: Iterable[Tensor], *, learning_rate: float) -> None:
        """Keeps the parameters, with ``grad``; the state begins with the first step."""
        self.learning_rate = learning_rate
        self.state: OptimiserState = {}
        self._weights = list(parameters)

    def step(self, found_inf: Tensor | None = None) -> None:
        """Changes the weights."""
        assert found_inf is None, "each of its steps is judged before it is made"
        counts, squares = _state_of(self.state, self._weights, ("step", "square_avg"))
        gradients = [_gradient(weight) for weight in self._weights]
        with torch.no_grad():
            torch._foreach_add_(counts, 1)
            torch._foreach_mul_(squares, RMSPROP_DECAY)
            torch._foreach_addcmul_(squares, gradients, gradients, value=1 - RMSPROP_DECAY)
            divisors = [square.sqrt().add_(KERAS_EPSILON) for square in squares]
            torch._foreach_addcdiv_(self._weights, gradients, divisors, value=-self.learning_rate)


def make_optimiser(
    matrices: Iterable[Tensor], biases: Iterable[Tensor], training: TrainingConfig
) -> Optimiser:
    """Returns the optimiser that the settings name."""
    rate = training.learning_rate
    if training.optimiser == "rmsprop":
        return RMSprop([*matrices, *biases], learning_rate=rate)
    return AdamW(matrices, biases, learning_rate=rate, weight_decay=training.weight_decay)


def _gradient(weight: Tensor) -> Tensor:
    gradient = weight.grad
    assert gradient is not None, "every parameter has a part in the loss"
    assert gradient.stride() == weight.stride(), "the fused step ignores the order in memory"
    return gradient


def _state_of(
    state: OptimiserState, weights: Sequence[Tensor], slots: Sequence[str]
) -> list[list[Tensor]]:
    """Returns the tensors of each slot, one for each weight; zeros where there are none yet."""
    for weight in weights:
        if weight not in state:
            own = {slot: torch.zeros_like(weight, requires_grad=False) for slot in slots[1:]}
            state[weight] = {"step": torch.zeros((), device=weight.device), **own}
    return [[state[weight][slot] for weight in weights] for slot in slots]
