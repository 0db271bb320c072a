"""What each kind of network says of itself without torch: shapes, first values, snapshot. NumPy.

`model.network.parameters` has the table of forms, which is all that other rooms ask. Letters: V
vocabulary, E embedding, H hidden, L layers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from model.config import ModelConfig
from model.network.snapshot import FloatArray, WeightSnapshot

Weights = Mapping[str, FloatArray]
"""Under the names of ``torch.nn``'s state dict."""
Shapes = dict[str, tuple[int, ...]]

EMBEDDING_DEVIATION = 0.5


class NetworkForm(ABC):
    """A network between an embedding (or one-hot vectors) and a linear head, with its settings."""

    def __init__(self, model: ModelConfig) -> None:
        self.model = model

    @abstractmethod
    def parameter_shapes(self, vocabulary_size: int) -> Shapes:
        """Returns the shape of each tensor in the network's state dict."""

    @abstractmethod
    def state_shapes(self, streams: int) -> Shapes:
        """Returns name and shape of each tensor of the carried state, streams in dimension 1."""

    @property
    @abstractmethod
    def recurrent_shape(self) -> tuple[int, int]:
        """The shape of the matrix that weight dropout acts on, in each layer."""

    @abstractmethod
    def snapshot(self, weights: Weights, *, step: int, precision: str) -> WeightSnapshot:
        """Copies weights into the layout that the network's steppers read."""

    @abstractmethod
    def first_value(
        self, random: np.random.Generator, name: str, shape: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        """Returns a tensor of the network's own layers before training."""

    def initial_parameters(self, vocabulary_size: int, seed: int) -> Weights:
        """Returns fresh weights: Glorot head (2010), normal embedding, the layers' own values."""
        random = np.random.default_rng([seed, 0])
        weights: dict[str, FloatArray] = {}
        for name, shape in self.parameter_shapes(vocabulary_size).items():
            if name == "embedding.weight":
                value = random.normal(0.0, EMBEDDING_DEVIATION, shape)
            elif name == "head.weight":
                value = glorot(random, shape)
            elif name == "head.bias":
                value = np.zeros(shape)
            else:
                value = self.first_value(random, name, shape)
            weights[name] = value.astype(np.float32)
        return weights

    def outer_shapes(self, vocabulary_size: int) -> Shapes:
        """Returns the shapes of the head and, if there is one, of the embedding."""
        model = self.model
        shapes: Shapes = {
            "head.weight": (vocabulary_size, model.hidden),
            "head.bias": (vocabulary_size,),
        }
        if model.embedding:
            shapes["embedding.weight"] = (vocabulary_size, model.embedding)
        return shapes


def glorot(random: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Returns uniform numbers of the variance of Glorot & Bengio (2010) for a matrix."""
    limit = np.sqrt(6 / sum(shape))
    return random.uniform(-limit, limit, shape)


def orthogonal(random: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    """Returns a uniformly drawn orthogonal matrix [size, size]."""
    factor, triangle = np.linalg.qr(random.standard_normal((size, size)))
    # Without this the signs of the decomposition would be part of the draw (Mezzadri 2007).
    return np.asarray(factor * np.sign(np.diag(triangle)))
