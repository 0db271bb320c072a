"""What depends on the kind of network and needs no torch: shapes, first values, snapshot. NumPy.

Training, checkpoints and samplers ask these functions alone; a further network is a row of the
table. The first values are made without torch, so that text can be written before it is imported.
Training starts from the same values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from model.config import ModelConfig, NetworkKind
from model.network.conv_form import ConvForm
from model.network.gru_form import GruForm
from model.network.lstm_form import LstmForm, NormalisedLstmForm
from model.network.network_form import NetworkForm, Shapes, Weights
from model.network.snapshot import WeightSnapshot

FORMS: Final[Mapping[NetworkKind, type[NetworkForm]]] = {
    "lstm": LstmForm,
    "rms-lstm": NormalisedLstmForm,
    "gru": GruForm,
    "conv": ConvForm,
}


def parameter_shapes(model: ModelConfig, vocabulary_size: int) -> Shapes:
    """Returns the shape of each tensor in the network's state dict."""
    return FORMS[model.network](model).parameter_shapes(vocabulary_size)


def initial_parameters(model: ModelConfig, vocabulary_size: int, seed: int) -> Weights:
    """Returns fresh weights."""
    return FORMS[model.network](model).initial_parameters(vocabulary_size, seed)


def state_shapes(model: ModelConfig, streams: int) -> Shapes:
    """Returns name and shape of each tensor of the carried state; dimension 1 is the streams."""
    return FORMS[model.network](model).state_shapes(streams)


def recurrent_shape(model: ModelConfig) -> tuple[int, int]:
    """Returns the shape of the matrix that weight dropout acts on, in each layer."""
    return FORMS[model.network](model).recurrent_shape


def weight_snapshot(
    model: ModelConfig, weights: Weights, *, step: int, precision: str = "fp32"
) -> WeightSnapshot:
    """Copies weights into the layout that the network's steppers read.

    Args:
        model: the kind and the shape of the network.
        weights: names and shapes as `parameter_shapes` gives them.
        step: optimiser steps behind these weights.
        precision: ``bf16`` or ``fp32``; see `WeightSnapshot`.
    """
    return FORMS[model.network](model).snapshot(weights, step=step, precision=precision)
