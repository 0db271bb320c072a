"""What training and scoring ask of a network: characters in, logits of the next one out. PyTorch.

Letters: T time, B batch, V vocabulary, E embedding, H hidden.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.compute.engine import LayerKind
from model.config import ModelConfig
from model.network import parameters
from model.network.dropout import DropoutMasks

State = tuple[Tensor, ...]
"""The carried state: one tensor per entry of `parameters.state_shapes`, its streams in dimension 1.
Only the network itself knows what the tensors mean."""


def streams_of(state: State, streams: slice) -> State:
    """Returns the state of some streams, each tensor contiguous, as cuDNN requires."""
    return tuple(part[:, streams].contiguous() for part in state)


def joined(states: Sequence[State]) -> State:
    """Concatenates the states of consecutive groups of streams."""
    if len(states) == 1:
        return states[0]
    return tuple(torch.cat(parts, dim=1) for parts in zip(*states, strict=True))


class CharacterNetwork(nn.Module, ABC):
    """A recurrent network between an embedding (or one-hot vectors) and a linear head.

    A subclass creates its recurrent part and ``head``. Names and shapes of all its parameters are
    those of `parameters.parameter_shapes`.
    """

    head: nn.Linear

    def __init__(self, config: ModelConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.config = config
        self.vocabulary_size = vocabulary_size
        self.input_width = config.embedding or vocabulary_size
        """E, the width of what the first layer reads."""
        self.embedding = (
            nn.Embedding(vocabulary_size, self.input_width) if config.embedding else None
        )

    @staticmethod
    def layer_kinds(config: ModelConfig) -> tuple[LayerKind, ...]:  # noqa: ARG004 - of subclasses
        """Returns the kinds of ``training_forward`` for a network of this shape."""
        return ("torch",)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state's tensors, in order."""
        return tuple(parameters.state_shapes(self.config, 1))

    @abstractmethod
    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Runs the recurrent part as it is used after training, without dropout.

        Args:
            ids: int64 [T, B].
            state: carried from the characters before; None starts from zeros.

        Returns:
            The outputs of the top layer [T, B, H] and the state after the last character.
        """

    @abstractmethod
    def training_forward(
        self,
        ids: Tensor,
        state: State,
        masks: DropoutMasks | None,
        kind: LayerKind,
        products: torch.dtype,
    ) -> tuple[Tensor, State]:
        """Runs the recurrent part as it is trained.

        Args:
            ids: int64 [T, B].
            state: carried in.
            masks: what is dropped; None drops nothing.
            kind: how each layer is computed.
            products: type of the matrix products; for ``torch`` on a CPU autocast decides.

        Returns:
            The outputs of the top layer after dropout [T, B, H], and the state after the last
            character.
        """

    def logits(self, outputs: Tensor) -> Tensor:
        """Returns the logits [..., V] of the character after each output [..., H]."""
        return self.head(outputs)  # type: ignore[no-any-return]

    def initial_state(self, batch: int) -> State:
        """Returns the zero state for ``batch`` streams."""
        shapes = parameters.state_shapes(self.config, batch).values()
        return tuple(self.head.weight.new_zeros(shape) for shape in shapes)

    def parameter_count(self) -> int:
        """Returns the number of trained numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

    def load_arrays(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Copies weights in, under the names of the state dict."""
        self.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})

    def embedded(self, ids: Tensor, masks: DropoutMasks | None = None) -> Tensor:
        """Returns what the first layer reads, [T, B, E], after dropout.

        Args:
            ids: int64 [T, B].
            masks: what is dropped; None drops nothing.
        """
        if self.embedding is not None:
            inputs: Tensor = self.embedding(ids)
        else:
            inputs = functional.one_hot(ids, self.vocabulary_size).to(self.head.weight.dtype)
        return inputs if masks is None or masks.inputs is None else inputs * masks.inputs
