"""Averaged weights: the formula, and what training does with them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from model_fixtures import TINY_TRAINING
from network_fixtures import make_trainer

from model.config import ModelConfig
from model.network.lstm import CharacterLSTM
from model.network.snapshot import LstmSnapshot
from model.training.weights import EmaWeights

AVERAGED = dataclasses.replace(TINY_TRAINING, averaging=0.9)


def test_the_average_follows_the_formula() -> None:
    network = CharacterLSTM(ModelConfig(hidden=3, embedding=2), 4)
    average = EmaWeights(network, 0.9)
    expected = network.head.weight.detach().clone()
    for step in range(200):
        with torch.no_grad():
            network.head.weight += 0.1
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected += (1 - decay) * (network.head.weight.detach() - expected)
        assert torch.allclose(average.network.head.weight, expected, atol=1e-5)
    assert not average.network.head.weight.requires_grad
    lag = float((network.head.weight - average.network.head.weight).detach().mean())
    assert lag == pytest.approx(0.9, rel=0.01), "a steady climb is followed at 0.1 * 0.9 / 0.1"


def test_the_trainer_writes_with_the_average_once_it_leads() -> None:
    trainer = make_trainer(AVERAGED)
    for _ in range(8):
        trainer.step(0.0)
    assert len(trainer.networks) == 2
    own = trainer.snapshot()
    trainer.average_leads = True
    averaged = trainer.snapshot()
    assert isinstance(own, LstmSnapshot)
    assert isinstance(averaged, LstmSnapshot)
    assert trainer.networks == [trainer.best_network]
    assert not np.array_equal(own.head_matrix, averaged.head_matrix)


def test_without_averaging_there_is_one_network() -> None:
    trainer = make_trainer(dataclasses.replace(TINY_TRAINING, averaging=0.0))
    assert trainer.networks == [trainer.network]
    assert not [name for name in trainer.tensors() if name.startswith("average.")]


def test_the_average_goes_on_exactly_after_a_restart() -> None:
    first = make_trainer(AVERAGED)
    for _ in range(5):
        first.step(0.0)
    first.average_leads = True
    saved = first.tensors(), first.progress()
    for _ in range(5):
        first.step(0.0)
    second = make_trainer(AVERAGED)
    second.restore(*saved)
    for _ in range(5):
        second.step(0.0)
    assert second.average_leads
    for name, tensor in first.tensors().items():
        assert np.array_equal(tensor, second.tensors()[name]), name


def test_a_checkpoint_from_before_there_were_averages_is_gone_on_with() -> None:
    first = make_trainer(AVERAGED)
    for _ in range(5):
        first.step(0.0)
    tensors = {name: value for name, value in first.tensors().items() if "average." not in name}
    names = ("step", "batches")
    progress = {name: first.progress()[name] for name in names}
    second = make_trainer(AVERAGED)
    second.restore(tensors, progress | {"learning_rate_scale": 0.5, "roll_backs": 1})
    assert second.step(0.0).learning_rate == second.schedule.learning_rate(5, 0.0) / 2
    assert not second.average_leads
    assert [name for name in second.tensors() if name.startswith("average.")]
