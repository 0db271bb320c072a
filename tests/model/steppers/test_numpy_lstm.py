"""The NumPy kernel against the PyTorch network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from model_fixtures import make_snapshot
from network_fixtures import make_network, snapshot_of, weights_of

from model.config import ModelConfig
from model.network.character_network import State
from model.network.lstm import CharacterLSTM
from model.steppers.numpy_lstm import LstmStepper

VOCABULARY_SIZE = 13
TOLERANCE = 1e-4

SHAPES = [
    pytest.param(
        ModelConfig(hidden=16, layers=layers, embedding=embedding, dropout=0.3),
        id=f"{layers}-{'embedding' if embedding else 'one-hot'}",
    )
    for layers in (1, 2, 3)
    for embedding in (0, 5)
]


def random_ids(count: int, seed: int = 1) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(VOCABULARY_SIZE, size=count)


def network_logits(
    network: CharacterLSTM, ids: npt.NDArray[np.int64], state: State | None = None
) -> tuple[npt.NDArray[np.float32], State]:
    with torch.no_grad():
        outputs, state = network(torch.from_numpy(ids)[:, None], state)
        return network.logits(outputs)[:, 0].numpy(), state


def kernel_logits(kernel: LstmStepper, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return np.stack([kernel.prime([int(i)]).copy() for i in ids])


@pytest.mark.parametrize("shape", SHAPES)
def test_it_equals_the_network_over_a_thousand_steps(shape: ModelConfig) -> None:
    network = make_network(shape, VOCABULARY_SIZE)
    ids = random_ids(1000)
    expected, _ = network_logits(network, ids)
    found = kernel_logits(LstmStepper(snapshot_of(network)), ids)
    assert expected.std() > 0.1, "a network that says nothing would prove nothing"
    assert np.abs(found - expected).max() < TOLERANCE


@pytest.mark.parametrize("shape", SHAPES)
def test_other_weights_in_mid_stream_go_on_from_the_carried_state(shape: ModelConfig) -> None:
    networks = [make_network(shape, VOCABULARY_SIZE, seed=seed) for seed in range(4)]
    kernel = LstmStepper(snapshot_of(networks[0]))
    state: State | None = None
    for turn, network in enumerate(networks):
        ids = random_ids(100, seed=turn)
        kernel.adopt(snapshot_of(network))
        expected, state = network_logits(network, ids, state)
        assert np.abs(kernel_logits(kernel, ids) - expected).max() < TOLERANCE


def test_the_carried_state_matters_to_the_logits_after_a_swap() -> None:
    shape = ModelConfig(hidden=16, embedding=5)
    network = make_network(shape, VOCABULARY_SIZE)
    kernel = LstmStepper(snapshot_of(network))
    kernel.prime([1, 2, 3])
    carried = kernel.prime([4]).copy()
    kernel.reset()
    assert np.abs(kernel.prime([4]) - carried).max() > 100 * TOLERANCE


def test_weights_of_another_shape_are_refused() -> None:
    kernel = LstmStepper(snapshot_of(make_network(ModelConfig(hidden=8), VOCABULARY_SIZE)))
    for other in (ModelConfig(hidden=9), ModelConfig(hidden=8, layers=2)):
        with pytest.raises(ValueError, match="another shape"):
            kernel.adopt(snapshot_of(make_network(other, VOCABULARY_SIZE)))


def test_training_on_does_not_change_a_snapshot() -> None:
    network = make_network(ModelConfig(hidden=16, layers=2, embedding=5), VOCABULARY_SIZE)
    snapshot = snapshot_of(network)
    ids = random_ids(20)
    before = kernel_logits(LstmStepper(snapshot), ids)
    for value in weights_of(network).values():
        np.add(value, 1.0, out=value)
    assert np.array_equal(kernel_logits(LstmStepper(snapshot), ids), before)
    assert not np.array_equal(kernel_logits(LstmStepper(snapshot_of(network)), ids), before)


def test_a_snapshot_shares_no_memory_and_cannot_be_written() -> None:
    network = make_network(ModelConfig(hidden=16, layers=2, embedding=0), VOCABULARY_SIZE)
    snapshot = snapshot_of(network)
    arrays = [snapshot.input_table, snapshot.head_matrix, snapshot.head_bias]
    arrays += [layer.matrix for layer in snapshot.layers]
    arrays += [layer.bias for layer in snapshot.layers if layer.bias is not None]
    for array in arrays:
        assert not any(np.shares_memory(array, value) for value in weights_of(network).values())
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(AttributeError):
        snapshot.step = 7  # type: ignore[misc]


def test_priming_equals_stepping() -> None:
    ids = [3, 1, 4, 1, 5]
    primed, stepped = LstmStepper(make_snapshot()), LstmStepper(make_snapshot())
    for symbol_id in ids:
        stepped.prime([symbol_id])
    assert np.array_equal(primed.prime(ids), stepped.prime([]))
    assert np.array_equal(primed.prime([2]), stepped.prime([2]))


def test_a_saved_state_can_be_restored() -> None:
    kernel = LstmStepper(make_snapshot())
    kernel.prime([1, 2, 3])
    state = kernel.state
    first = kernel.prime([4]).copy()
    kernel.prime([5, 6])
    kernel.state = state
    assert np.array_equal(kernel.prime([4]), first)
