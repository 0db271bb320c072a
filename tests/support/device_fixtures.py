"""Trainers on every device that this machine has, the CPU among them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from model_fixtures import TINY_MODEL, TINY_TRAINING
from network_fixtures import TEXT_IDS, fresh_network

from model.compute.device import Machine
from model.compute.engine import Engine
from model.config import ModelConfig, TrainingConfig
from model.data.batches import make_batches
from model.training.trainer import Trainer

DEVICES = ["cpu"]
DEVICES += ["cuda"] if torch.cuda.is_available() else []
DEVICES += ["mps"] if torch.backends.mps.is_available() else []
TOLERANCE = {"cpu": 1e-6, "cuda": 1e-3, "mps": 1e-3}

PLAIN = dataclasses.replace(TINY_TRAINING, reset_probability=0.3, epochs=100)
WINDOWS = dataclasses.replace(PLAIN, scoring="last", window_stride=7)
DROPPING = dataclasses.replace(PLAIN, embedding_dropout=0.2, weight_dropout=0.3)

every_device = pytest.mark.parametrize("name", DEVICES)


def on(name: str, *, queues: bool = True, layer: Any = "torch") -> Machine:
    """Returns the machine of a CUDA card, whatever device is under it."""
    return Machine(
        device=torch.device(name),
        engine=Engine(precision="fp32", layer=layer),
        queues=queues,
        holds_text=True,
    )


def trainer_on(
    machine: Machine, training: TrainingConfig = PLAIN, model: ModelConfig = TINY_MODEL
) -> Trainer:
    torch.manual_seed(0)
    batches = make_batches(TEXT_IDS, training, subject="text")
    return Trainer(fresh_network(model), batches, training, machine)
