"""Creates the torch module of a network. The one place that chooses its class."""

from __future__ import annotations

from model.config import ModelConfig
from model.network.character_network import CharacterNetwork
from model.network.lstm import CharacterLSTM


def make_network(config: ModelConfig, vocabulary_size: int) -> CharacterNetwork:
    """Returns a network with PyTorch's own first weights, on the CPU."""
    return CharacterLSTM(config, vocabulary_size)
