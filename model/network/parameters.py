"""What depends on the kind of network and needs no torch: shapes, first values, snapshot. NumPy.

Training, checkpoints and samplers ask these functions alone; a second network is a branch in each.
The first values are made here, so that text can be written before torch is imported. Training
starts from the same values.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from model.config import ModelConfig
from model.network.snapshot import FloatArray, LstmSnapshot, WeightSnapshot

Weights = Mapping[str, FloatArray]
"""Under the names of ``torch.nn``'s state dict."""

EMBEDDING_DEVIATION = 0.5


def parameter_shapes(model: ModelConfig, vocabulary_size: int) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each tensor in the network's state dict."""
    hidden, width = model.hidden, model.embedding or vocabulary_size
    shapes: dict[str, tuple[int, ...]] = {
        "head.weight": (vocabulary_size, hidden),
        "head.bias": (vocabulary_size,),
    }
    if model.embedding:
        shapes["embedding.weight"] = (vocabulary_size, model.embedding)
    for layer in range(model.layers):
        shapes[f"lstm.weight_ih_l{layer}"] = (4 * hidden, width if layer == 0 else hidden)
        shapes[f"lstm.weight_hh_l{layer}"] = (4 * hidden, hidden)
        shapes[f"lstm.bias_ih_l{layer}"] = (4 * hidden,)
        shapes[f"lstm.bias_hh_l{layer}"] = (4 * hidden,)
    return shapes


def initial_parameters(model: ModelConfig, vocabulary_size: int, seed: int) -> Weights:
    """Returns fresh weights: Glorot inputs, orthogonal recurrence per gate, forget bias 1.

    This is Keras' initialisation of an LSTM (Glorot & Bengio 2010; Saxe et al. 2014; the forget
    bias from Jozefowicz et al. 2015); embeddings are normal with deviation 0.5, other biases 0.
    """
    random = np.random.default_rng([seed, 0])
    hidden = model.hidden
    weights: dict[str, FloatArray] = {}
    for name, shape in parameter_shapes(model, vocabulary_size).items():
        if name == "embedding.weight":
            value = random.normal(0.0, EMBEDDING_DEVIATION, shape)
        elif "weight_hh" in name:
            value = np.concatenate([_orthogonal(random, hidden) for _ in range(4)])
        elif "weight" in name:
            limit = np.sqrt(6 / sum(shape))
            value = random.uniform(-limit, limit, shape)
        else:
            value = np.zeros(shape)
            if "bias_ih" in name:  # PyTorch adds two biases; only this one contains the 1
                value[hidden : 2 * hidden] = 1.0
        weights[name] = value.astype(np.float32)
    return weights


def _orthogonal(random: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    """Returns a uniformly drawn orthogonal matrix [size, size]."""
    factor, triangle = np.linalg.qr(random.standard_normal((size, size)))
    # Without this the signs of the decomposition would be part of the draw (Mezzadri 2007).
    return np.asarray(factor * np.sign(np.diag(triangle)))


def state_shapes(model: ModelConfig, streams: int) -> dict[str, tuple[int, ...]]:
    """Returns name and shape of each tensor of the carried state; dimension 1 is the streams."""
    shape = (model.layers, streams, model.hidden)
    return {"hidden": shape, "cell": shape}


def recurrent_shape(model: ModelConfig) -> tuple[int, int]:
    """Returns the shape of the matrix that weight dropout acts on, in each layer."""
    return 4 * model.hidden, model.hidden


def weight_snapshot(weights: Weights, *, step: int, precision: str = "fp32") -> WeightSnapshot:
    """Copies weights into the layout that the network's steppers read.

    Args:
        weights: names and shapes as `parameter_shapes` gives them.
        step: optimiser steps behind these weights.
        precision: ``bf16`` or ``fp32``; see `WeightSnapshot`.
    """
    return LstmSnapshot.from_weights(weights, step=step, precision=precision)
