"""Creates the torch module of a network. The one place that chooses its class. PyTorch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from model.compute.engine import LayerKind
from model.config import ModelConfig, NetworkKind
from model.network.character_network import CharacterNetwork
from model.network.conv import CharacterConv
from model.network.gru import CharacterGRU
from model.network.lstm import CharacterLSTM, NormalisedLSTM

CLASSES: Final[Mapping[NetworkKind, type[CharacterNetwork]]] = {
    "lstm": CharacterLSTM,
    "rms-lstm": NormalisedLSTM,
    "gru": CharacterGRU,
    "conv": CharacterConv,
}


def make_network(config: ModelConfig, vocabulary_size: int) -> CharacterNetwork:
    """Returns a network with PyTorch's own first weights, on the CPU."""
    return CLASSES[config.network](config, vocabulary_size)


def layer_kinds(config: ModelConfig) -> Collection[LayerKind]:
    """Returns the ways in which the layers of such a network can be computed in training."""
    return CLASSES[config.network].layer_kinds(config)
