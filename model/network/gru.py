"""The GRU: embedding, a stack of GRU layers, a linear head. PyTorch.

Letters: T time, B batch, V vocabulary, E embedding, H hidden, L layers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from model.compute.engine import LayerKind
from model.config import ModelConfig
from model.network.character_network import CharacterNetwork, State
from model.network.dropout import DropoutMasks


class CharacterGRU(CharacterNetwork):
    """Embedding (or one-hot vectors), a stack of GRU layers, a linear head.

    Its parameters have the names and shapes of ``nn.Embedding``, ``nn.GRU`` and ``nn.Linear``. Its
    state is the hidden state [L, B, H].
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int) -> None:
        super().__init__(config, vocabulary_size)
        self.gru = nn.GRU(self.input_width, config.hidden, config.layers)
        self.head = nn.Linear(config.hidden, vocabulary_size)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Runs all layers by ``nn.GRU``; see `CharacterNetwork.forward`."""
        outputs, hidden = self.gru(self.embedded(ids), None if state is None else state[0])
        return outputs, (hidden,)

    def training_forward(
        self,
        ids: Tensor,
        state: State,
        masks: DropoutMasks | None,
        kind: LayerKind,  # noqa: ARG002 - PyTorch computes it alone
        products: torch.dtype,
    ) -> tuple[Tensor, State]:
        """Runs the layers one by one by PyTorch's GRU; see `CharacterNetwork.training_forward`.

        The whole layer computes in ``products`` on a GPU, and in float32 on a CPU.
        """
        dtype = products if ids.device.type != "cpu" else torch.float32
        outputs, after = self.embedded(ids, masks), []
        with torch.autocast(ids.device.type, enabled=False):
            for layer in range(self.config.layers):
                operands = (outputs, state[0][layer : layer + 1], *self._weights(layer, masks))
                inputs, hidden, *weights = (part.to(dtype) for part in operands)
                outputs, hidden = _gru_layer(inputs, hidden, weights)
                mask = None if masks is None else masks.outputs[layer]
                outputs = outputs if mask is None else outputs * mask.to(dtype)
                after.append(hidden)
        return outputs, (torch.cat(after),)

    def _weights(self, layer: int, masks: DropoutMasks | None) -> list[Tensor]:
        """Returns a layer's matrices and biases, after weight dropout."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(self.gru, f"{name}_l{layer}") for name in names]
        mask = None if masks is None else masks.recurrent[layer]
        if mask is not None:
            weights[1] = weights[1] * mask
        return weights


def _gru_layer(inputs: Tensor, hidden: Tensor, weights: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Runs one layer over inputs [T, B, D] from a hidden state [1, B, H]."""
    results: Any = torch._VF.gru(  # noqa: SLF001 - nn.GRU takes no weights that were dropped
        inputs, hidden, weights, True, 1, 0.0, True, False, False
    )
    outputs, after = results
    return outputs, after
