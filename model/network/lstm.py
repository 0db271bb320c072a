"""The network: characters in, logits of the next character out. PyTorch.

Letters: T time, B batch, V vocabulary, E embedding, H hidden, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.compute.engine import LayerKind
from model.config import ModelConfig
from model.network.dropout import DropoutMasks
from model.network.torch_layer import LayerState, State, torch_layer, torch_layers


def streams_of(state: State, streams: slice) -> State:
    """Returns some streams of a state, in one piece: PyTorch's LSTM reads them as they lie."""
    return state[0][:, streams].contiguous(), state[1][:, streams].contiguous()


def joined(states: Sequence[State]) -> State:
    """Returns the state of all streams, of which each of these has some."""
    if len(states) == 1:
        return states[0]
    hidden, cell = zip(*states, strict=True)
    return torch.cat(hidden, dim=1), torch.cat(cell, dim=1)


class CharacterLSTM(nn.Module):
    """Embedding (or one-hot vectors), a stack of LSTM layers, a linear head.

    What it starts from is in ``model.network.parameters``. Its parameters have the names and shapes
    of ``nn.Embedding``, ``nn.LSTM`` and ``nn.Linear``.
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.config = config
        self.vocabulary_size = vocabulary_size
        self.input_width = config.embedding or vocabulary_size
        self.embedding = (
            nn.Embedding(vocabulary_size, self.input_width) if config.embedding else None
        )
        self.lstm = nn.LSTM(self.input_width, config.hidden, config.layers)
        self.head = nn.Linear(config.hidden, vocabulary_size)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Runs the recurrent part as it is used after training: nothing is dropped.

        Args:
            ids: int64 [T, B].
            state: carried from the characters before, or None for a cold start.

        Returns:
            The outputs of the top layer [T, B, H] and the state after the last character.
        """
        outputs, state = self.lstm(self._embedded(ids), state)
        return outputs, state

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
            masks: what is dropped.
            kind: how each layer is computed.
            products: type of the matrix products; for ``torch`` autocast decides.

        Returns:
            As `forward`, the outputs after dropout.
        """
        own_products = products if kind == "whole" else None
        if kind == "whole" and masks is None:
            layers = range(self.config.layers)
            every = [weight for layer in layers for weight in self._layer_weights(layer, None)]
            return torch_layers(self._embedded(ids), every, state, own_products)
        outputs: Tensor | None = None
        last: list[LayerState] = []
        for layer in range(self.config.layers):
            weights = self._layer_weights(layer, masks)
            own = (state[0][layer], state[1][layer])
            if kind == "packed":
                from model.network.compiled_layer import packed_layer  # noqa: PLC0415 - see there

                gates = self._gate_inputs(ids, outputs, weights[0], masks)
                rows = ids if gates.ndim == 2 else None
                outputs, own = packed_layer(
                    gates, rows, (weights[2], weights[3]), weights[1], own, products
                )
            else:
                inputs = self._dropped_inputs(ids, masks) if outputs is None else outputs
                outputs, own = torch_layer(inputs, weights, own, own_products)
            mask = None if masks is None else masks.outputs[layer]
            outputs = outputs if mask is None else outputs * mask
            last.append(own)
        assert outputs is not None, "a network has at least one layer"
        hidden, cell = zip(*last, strict=True)
        return outputs, (torch.stack(hidden), torch.stack(cell))

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

    # --- the parts of a layer ---------------------------------------------------------------------

    def _embedded(self, ids: Tensor) -> Tensor:
        """Returns what the first layer takes in, [T, B, E]."""
        if self.embedding is not None:
            return self.embedding(ids)  # type: ignore[no-any-return]
        return functional.one_hot(ids, self.vocabulary_size).to(self.head.weight.dtype)

    def _dropped_inputs(self, ids: Tensor, masks: DropoutMasks | None) -> Tensor:
        inputs = self._embedded(ids)
        return inputs if masks is None or masks.inputs is None else inputs * masks.inputs

    def _layer_weights(
        self, layer: int, masks: DropoutMasks | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns a layer's matrices and biases, entries of the recurrent matrix dropped."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        inner, recurrent, *biases = (getattr(self.lstm, f"{name}_l{layer}") for name in names)
        mask = None if masks is None else masks.recurrent[layer]
        return (inner, recurrent if mask is None else recurrent * mask, biases[0], biases[1])

    def _gate_inputs(
        self, ids: Tensor, below: Tensor | None, matrix: Tensor, masks: DropoutMasks | None
    ) -> Tensor:
        """Returns what the layer's inputs add to its gates, [T, B, 4H].

        In the first layer that depends on the character alone: it is a table of [V, 4H] then,
        unless each stream has an embedding of its own (dropout).

        Args:
            ids: int64 [T, B].
            below: outputs of the layer below, [T, B, H]; None in the first layer.
            matrix: of the inputs, [4H, D].
            masks: what is dropped.
        """
        if below is not None:
            return functional.linear(below, matrix)
        if masks is not None and masks.inputs is not None:
            return functional.linear(self._dropped_inputs(ids, masks), matrix)
        with torch.autocast(ids.device.type, enabled=False):
            return matrix.t() if self.embedding is None else self.embedding.weight @ matrix.t()
