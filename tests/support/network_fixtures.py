"""Tiny networks and trainers. PyTorch, and therefore apart from `model_fixtures`."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from model_fixtures import TEXT, TINY_MODEL, TINY_TRAINING, VOCABULARY, Weights, random_weights

from model.compute.device import Machine
from model.compute.engine import Engine
from model.config import ModelConfig, TrainingConfig
from model.data.batches import make_batches
from model.network.character_network import CharacterNetwork
from model.network.lstm import CharacterLSTM
from model.network.make import CLASSES
from model.network.parameters import initial_parameters
from model.network.snapshot import LstmSnapshot
from model.training.trainer import Trainer

MACHINE = Machine(device=torch.device("cpu"), engine=Engine(precision="fp32"))
TEXT_IDS: npt.NDArray[Any] = VOCABULARY.encode(TEXT)


def make_network(
    model: ModelConfig = TINY_MODEL,
    vocabulary_size: int = len(VOCABULARY),
    *,
    seed: int = 0,
    scale: float = 0.6,
) -> CharacterLSTM:
    """Returns a network in evaluation mode whose weights, biases too, are random."""
    network = CLASSES[model.network](model, vocabulary_size).eval()
    assert isinstance(network, CharacterLSTM)
    weights = random_weights(model, vocabulary_size, seed=seed, scale=scale)
    network.load_arrays(weights)
    return network


def weights_of(network: CharacterNetwork) -> Weights:
    """Returns the network's own memory, not copies of it."""
    return {name: value.detach().numpy() for name, value in network.state_dict().items()}


def snapshot_of(network: CharacterNetwork, step: int = 0) -> LstmSnapshot:
    return LstmSnapshot.from_weights(weights_of(network), step=step)


def fresh_network(model: ModelConfig = TINY_MODEL, seed: int = 0) -> CharacterLSTM:
    network = CharacterLSTM(model, len(VOCABULARY))
    network.load_arrays(initial_parameters(model, len(VOCABULARY), seed))
    return network


def make_trainer(
    training: TrainingConfig = TINY_TRAINING,
    model: ModelConfig = TINY_MODEL,
    ids: npt.NDArray[Any] = TEXT_IDS,
) -> Trainer:
    torch.set_num_threads(1)
    torch.manual_seed(training.seed)
    network = fresh_network(model, training.seed)
    return Trainer(network, make_batches(ids, training, subject="text"), training, MACHINE)


@contextlib.contextmanager
def sharing_products(threads: int) -> Iterator[None]:
    """Lets operations of the calling thread be shared among several threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fingerprint(trainer: Trainer) -> str:
    """Returns a hash of the weights."""
    digest = hashlib.sha256()
    for name, value in sorted(weights_of(trainer.network).items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
