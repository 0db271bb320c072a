"""Our optimisers change weights as PyTorch's do, bit for bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from model_fixtures import TINY_TRAINING
from torch import Tensor, nn

from model.config import TrainingConfig
from model.training.optimiser import Optimiser, make_optimiser

RATE, DECAY = 0.02, 0.25
ADAMW = dataclasses.replace(
    TINY_TRAINING, optimiser="adamw", learning_rate=RATE, weight_decay=DECAY
)
RMSPROP = dataclasses.replace(
    TINY_TRAINING, optimiser="rmsprop", learning_rate=RATE, weight_decay=0.0
)
MakeTheirs = Callable[[list[Tensor]], torch.optim.Optimizer]


def theirs_adamw(weights: list[Tensor]) -> torch.optim.Optimizer:
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": DECAY},
        {"params": [w for w in weights if w.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.99), fused=True)


def theirs_rmsprop(weights: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(weights, lr=RATE, alpha=0.9, eps=1e-7)


def parameters() -> list[Tensor]:
    torch.manual_seed(3)
    return [nn.Parameter(torch.randn(shape)) for shape in ((5, 7), (5,), (3, 5), (3,))]


def make_ours(weights: list[Tensor], training: TrainingConfig) -> Optimiser:
    matrices, biases = ([w for w in weights if w.ndim == count] for count in (2, 1))
    return make_optimiser(matrices, biases, training)


def give_gradients(weights: list[Tensor], step: int) -> None:
    torch.manual_seed(100 + step)
    for weight in weights:
        weight.grad = torch.randn(weight.shape) * 10.0 ** (step % 3 - 1)


def assert_equal(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for our, their in zip(ours, theirs, strict=True):
        assert torch.equal(our, their)


@pytest.mark.parametrize(("training", "theirs"), [(ADAMW, theirs_adamw), (RMSPROP, theirs_rmsprop)])
def test_weights_and_state_have_the_bits_of_pytorch(
    training: TrainingConfig, theirs: MakeTheirs
) -> None:
    our_weights, their_weights = parameters(), parameters()
    our, their = make_ours(our_weights, training), theirs(their_weights)
    for step in range(7):
        rate = RATE / (1 + step)
        our.learning_rate = rate
        for group in their.param_groups:
            group["lr"] = rate
        for weights in (our_weights, their_weights):
            give_gradients(weights, step)
        our.step()
        their.step()
        assert_equal(our_weights, their_weights)
    for our_weight, their_weight in zip(our_weights, their_weights, strict=True):
        our_state, their_state = our.state[our_weight], their.state[their_weight]
        assert set(our_state) == set(their_state)
        for slot, value in their_state.items():
            assert torch.equal(our_state[slot], value)
            assert our_state[slot].dtype == value.dtype
            assert not our_state[slot].requires_grad


def test_a_step_whose_gradient_is_not_finite_changes_nothing() -> None:
    weights = parameters()
    optimiser = make_ours(weights, ADAMW)
    give_gradients(weights, 0)
    optimiser.step(torch.tensor(0.0))
    before = [weight.detach().clone() for weight in weights]
    state = [{k: v.clone() for k, v in optimiser.state[weight].items()} for weight in weights]
    for weight in weights:
        weight.grad = torch.full_like(weight, float("nan"))
    optimiser.step(torch.tensor(1.0))
    assert_equal(weights, before)
    for weight, slots in zip(weights, state, strict=True):
        assert all(torch.equal(optimiser.state[weight][slot], v) for slot, v in slots.items())
    give_gradients(weights, 1)
    optimiser.step(torch.tensor(0.0))
    assert not torch.equal(weights[0], before[0])
