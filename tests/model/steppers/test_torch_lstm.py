"""The kernel of a device writes what the one of a CPU writes, on every device there is."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from device_fixtures import every_device
from model_fixtures import TEXT, TINY_TRAINING, VOCABULARY
from network_fixtures import make_network, snapshot_of

from model.config import ModelConfig, SamplingConfig
from model.network.snapshot import LstmSnapshot
from model.sampling.race import LaneModel, Race
from model.sampling.sampler import Sampler
from model.steppers.mixed_stepper import numpy_batch_stepper
from model.steppers.numpy_lstm import LstmBatchStepper
from model.steppers.torch_lstm import TorchLstmStepper, stepper_beside_training
from model.training.epoch_samples import write_samples


def snapshot_with(layers: int, seed: int = 0, network: str = "lstm") -> LstmSnapshot:
    model = ModelConfig(network=network, hidden=12, layers=layers, embedding=5)
    return snapshot_of(make_network(model, seed=seed))


SNAPSHOTS = [snapshot_with(1), snapshot_with(3), snapshot_with(2, network="rms-lstm")]

every_depth = pytest.mark.parametrize(
    "snapshot", SNAPSHOTS, ids=["one layer", "three layers", "two layers, normalised"]
)


@every_device
@every_depth
def test_logits_are_those_of_the_kernel_of_a_cpu(name: str, snapshot: LstmSnapshot) -> None:
    here = LstmBatchStepper(snapshot, 4)
    there = TorchLstmStepper(snapshot, 4, device=torch.device(name))
    random = np.random.default_rng(0)
    for length in (1, 3, 5):
        ids = list(random.integers(0, len(VOCABULARY), (length, 4)))
        np.testing.assert_allclose(there.prime(ids), here.prime(ids), atol=1e-5)
    here.reset()
    there.reset()
    np.testing.assert_allclose(there.prime(ids), here.prime(ids), atol=1e-5)


@every_device
@every_depth
def test_other_weights_count_from_the_next_character(name: str, snapshot: LstmSnapshot) -> None:
    here = LstmBatchStepper(snapshot, 2)
    there = TorchLstmStepper(snapshot, 2, device=torch.device(name))
    ids = [np.array([1, 2])] * 3
    before = there.prime(ids).copy()
    here.prime(ids)
    network = "rms-lstm" if snapshot.is_normalised else "lstm"
    other = snapshot_with(len(snapshot.layers), seed=5, network=network)
    here.adopt(other)
    there.adopt(other)
    after = there.prime(ids)
    np.testing.assert_allclose(after, here.prime(ids), atol=1e-5)
    assert not np.allclose(before, after, atol=1e-3)


@every_device
@pytest.mark.parametrize("window", [None, 6])
def test_streams_and_races_write_the_same_text(name: str, window: int | None) -> None:
    texts, probabilities, races = [], [], []
    for make_stepper in (partial(TorchLstmStepper, device=torch.device(name)), numpy_batch_stepper):
        sampler = Sampler(
            SNAPSHOTS[1],
            VOCABULARY,
            sampling=SamplingConfig(temperature=0.7),
            seeds=range(5),
            prompt=TEXT[:7],
            window=window,
            make_stepper=make_stepper,
        )
        network = LaneModel.of_weights(SNAPSHOTS[1], window=window, make_stepper=make_stepper)
        lanes = [("network", temperature) for temperature in (0.0, 0.5, 1.5)]
        race = Race(lanes, {"network": network}, VOCABULARY, seed=3)
        ids, own = sampler.write(16)
        texts.append(ids.tolist())
        probabilities.append(own)
        races.append([race.step().characters for _ in range(16)])
    assert texts[0] == texts[1]
    assert races[0] == races[1]
    np.testing.assert_allclose(probabilities[0], probabilities[1], rtol=1e-4)


def test_samples_of_a_training_are_computed_where_it_is_trained() -> None:
    assert stepper_beside_training(torch.device("cpu")) is numpy_batch_stepper
    on_card = stepper_beside_training(torch.device("cuda"))
    assert isinstance(on_card, partial)
    kernel = partial(TorchLstmStepper, device=torch.device("cpu"))
    written = [
        write_samples(
            SNAPSHOTS[0],
            VOCABULARY,
            dataclasses.replace(TINY_TRAINING, sample_length=20),
            TEXT[:5],
            cancelled=lambda: False,
            make_stepper=make_stepper,
        )
        for make_stepper in (kernel, numpy_batch_stepper)
    ]
    assert written[0] == written[1]
    assert written[0]
