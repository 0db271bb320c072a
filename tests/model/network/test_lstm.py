"""The network's shape and its first weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from network_fixtures import weights_of

from model.config import ModelConfig
from model.network.lstm import CharacterLSTM
from model.network.parameters import initial_parameters, parameter_shapes

SHAPES = [
    ModelConfig(hidden=6, layers=layers, embedding=embedding)
    for layers in (1, 2, 3)
    for embedding in (0, 5)
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_forget_bias_begins_at_one_and_all_others_at_zero(shape: ModelConfig) -> None:
    network = CharacterLSTM(shape, 7)
    network.load_arrays(initial_parameters(shape, 7, seed=0))
    for layer in range(shape.layers):
        both = [getattr(network.lstm, f"bias_{kind}_l{layer}") for kind in ("ih", "hh")]
        total = (both[0] + both[1]).detach()  # PyTorch's order: input, forget, cell, output
        assert total.tolist() == [0.0] * 6 + [1.0] * 6 + [0.0] * 12
    assert not network.head.bias.any()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_checkpoint_expects_just_the_tensors_that_a_network_has(shape: ModelConfig) -> None:
    network = CharacterLSTM(shape, 7)
    shapes = {name: tuple(value.shape) for name, value in weights_of(network).items()}
    assert parameter_shapes(shape, 7) == shapes
    assert network.parameter_count() == sum(int(np.prod(s)) for s in shapes.values())


def test_the_recurrence_of_each_gate_begins_orthogonal() -> None:
    for gate in np.split(initial_parameters(SHAPES[0], 7, seed=0)["lstm.weight_hh_l0"], 4):
        assert gate @ gate.T == pytest.approx(np.eye(6), abs=1e-5)


def test_inputs_and_head_begin_within_glorots_limits() -> None:
    weights = initial_parameters(ModelConfig(hidden=64, embedding=16), 40, seed=0)
    for name in ("lstm.weight_ih_l0", "head.weight"):
        limit = np.sqrt(6 / sum(weights[name].shape))
        assert 0.95 * limit < np.abs(weights[name]).max() <= limit
    assert weights["embedding.weight"].std() == pytest.approx(0.5, rel=0.1)


def test_first_weights_depend_on_the_seed_alone() -> None:
    one, same, other = (initial_parameters(SHAPES[1], 7, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["head.weight"], other["head.weight"])


def test_loaded_arrays_are_copied() -> None:
    weights = {k: v.copy() for k, v in initial_parameters(SHAPES[1], 7, seed=1).items()}
    network = CharacterLSTM(SHAPES[1], 7)
    network.load_arrays(weights)
    before = network.head.weight.detach().clone()
    weights["head.weight"] += 1
    assert torch.equal(network.head.weight, before)


def test_what_is_used_after_training_drops_nothing() -> None:
    network = CharacterLSTM(ModelConfig(hidden=64, layers=2, dropout=0.5), 7).train()
    ids = torch.zeros(3, 1, dtype=torch.int64)
    assert torch.equal(network(ids)[0], network(ids)[0])
    assert not (network(ids)[0] == 0).any()


def test_the_initial_state_is_a_cold_start() -> None:
    network = CharacterLSTM(ModelConfig(hidden=6, layers=2), 7).eval()
    ids = torch.tensor([[1, 2], [3, 4]])
    cold, _ = network(ids)
    given, _ = network(ids, network.initial_state(2))
    assert torch.equal(cold, given)
