"""The network: characters in, logits of the next character out. PyTorch.

Letters: T time, B batch, V vocabulary, E embedding, H hidden, L layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.config import ModelConfig

State = tuple[Tensor, Tensor]
"""Hidden and cell state, each [L, B, H]."""


class CharacterLSTM(nn.Module):
    """Embedding (or one-hot vectors), a stack of LSTM layers, a linear head."""

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
        self._initialise()

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

    def _initialise(self) -> None:
        """Glorot inputs, orthogonal recurrence per gate, zero biases but 1 for the forget gate.

        This is Keras' initialisation of an LSTM; the forget bias is from Jozefowicz et al. (2015).
        """
        hidden = self.config.hidden
        with torch.no_grad():
            if self.embedding is not None:
                nn.init.normal_(self.embedding.weight, std=0.5)
            for layer in range(self.config.layers):
                nn.init.xavier_uniform_(getattr(self.lstm, f"weight_ih_l{layer}"))
                recurrent = getattr(self.lstm, f"weight_hh_l{layer}")
                for gate in recurrent.split(hidden):
                    nn.init.orthogonal_(gate)
                for kind in ("ih", "hh"):
                    nn.init.zeros_(getattr(self.lstm, f"bias_{kind}_l{layer}"))
                # PyTorch adds two biases; one of them alone carries the 1.
                getattr(self.lstm, f"bias_ih_l{layer}")[hidden : 2 * hidden].fill_(1.0)
            nn.init.xavier_uniform_(self.head.weight)
            nn.init.zeros_(self.head.bias)
