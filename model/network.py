"""The network: characters in, logits of the next character out. PyTorch.

Letters: T time, B batch, V vocabulary, E embedding, H hidden, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.config import ModelConfig

State = tuple[Tensor, Tensor]
"""Hidden and cell state, each [L, B, H]."""


class CharacterLSTM(nn.Module):
    """Embedding (or one-hot vectors), a stack of LSTM layers, a linear head.

    What it starts from is in ``model.initialisation``.
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.config = config
        self.vocabulary_size = vocabulary_size
        width = config.embedding or vocabulary_size
        self.embedding = nn.Embedding(vocabulary_size, width) if config.embedding else None
        self.lstm = nn.LSTM(
            width,
            config.hidden,
            config.layers,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.output_dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, vocabulary_size)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Runs the recurrent part.

        Args:
            ids: int64 [T, B].
            state: carried from the characters before, or None for a cold start.

        Returns:
            The outputs of the top layer [T, B, H], after dropout, and the state after the last
            character.
        """
        if self.embedding is not None:
            inputs = self.embedding(ids)
        else:
            inputs = functional.one_hot(ids, self.vocabulary_size).to(self.head.weight.dtype)
        outputs, state = self.lstm(inputs, state)
        return self.output_dropout(outputs), state

    def logits(self, outputs: Tensor) -> Tensor:
        """Returns the logits [..., V] of the character after each output [..., H]."""
        return self.head(outputs)  # type: ignore[no-any-return]

    def initial_state(self, batch: int) -> State:
        """Returns the zero state for ``batch`` streams."""
        shape = (self.config.layers, batch, self.config.hidden)
        weight = self.head.weight
        zeros = torch.zeros(shape, dtype=weight.dtype, device=weight.device)
        return zeros, zeros.clone()

    def parameter_count(self) -> int:
        """Returns the number of trained numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

    def load_arrays(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Copies weights in, under the names of the state dict."""
        self.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
