"""The LSTM: embedding, a stack of LSTM layers, a linear head. PyTorch.

Letters: T time, B batch, V vocabulary, E embedding, H hidden, L layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.compute.engine import LayerKind
from model.config import ModelConfig
from model.network.character_network import CharacterNetwork, State
from model.network.dropout import DropoutMasks
from model.network.torch_layer import LayerState, normalised_layer, torch_layer, torch_layers


class CharacterLSTM(CharacterNetwork):
    """Embedding (or one-hot vectors), a stack of LSTM layers, a linear head.

    Its parameters have the names and shapes of ``nn.Embedding``, ``nn.LSTM`` and ``nn.Linear``. Its
    state is the hidden and the cell state, each [L, B, H].
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int) -> None:
        super().__init__(config, vocabulary_size)
        self.lstm = nn.LSTM(self.input_width, config.hidden, config.layers)
        self.head = nn.Linear(config.hidden, vocabulary_size)

    @staticmethod
    def layer_kinds(config: ModelConfig) -> tuple[LayerKind, ...]:
        """Returns all kinds; a step in one call is for networks of one layer."""
        return ("torch", "sequence", "step") if config.layers == 1 else ("torch", "sequence")

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Runs all layers by ``nn.LSTM``; see `CharacterNetwork.forward`."""
        outputs, state = self.lstm(self.embedded(ids), state)
        return outputs, state

    def training_forward(
        self,
        ids: Tensor,
        state: State,
        masks: DropoutMasks | None,
        kind: LayerKind,
        products: torch.dtype,
    ) -> tuple[Tensor, State]:
        """Runs the layers in the way that ``kind`` says; see `CharacterNetwork.training_forward`.

        ``torch`` runs PyTorch's LSTM, ``sequence`` each layer in `model.network.compiled_layer`.
        """
        # On a GPU all layers are one call, which cuDNN overlaps, and the type is set here: for an
        # LSTM on CUDA autocast would use float16.
        on_gpu = ids.device.type != "cpu"
        layer_products = products if on_gpu else None
        if on_gpu and masks is None and self._gain(0) is None:
            layers = range(self.config.layers)
            every = [weight for layer in layers for weight in self._layer_weights(layer, None)]
            return torch_layers(self.embedded(ids), every, state, layer_products)
        hidden, cell = state
        outputs: Tensor | None = None
        after: list[LayerState] = []
        for layer in range(self.config.layers):
            weights, gain = self._layer_weights(layer, masks), self._gain(layer)
            carried = (hidden[layer], cell[layer])
            if kind == "sequence":
                from model.network.compiled_layer import compiled_layer  # noqa: PLC0415 - Numba

                gates = self._gate_inputs(ids, outputs, weights[0], masks)
                rows = ids if gates.ndim == 2 else None
                outputs, carried = compiled_layer(
                    gates, rows, (weights[2], weights[3]), gain, weights[1], carried, products
                )
            else:
                inputs = self.embedded(ids, masks) if outputs is None else outputs
                outputs, carried = (
                    torch_layer(inputs, weights, carried, layer_products)
                    if gain is None
                    else normalised_layer(inputs, weights, gain, carried, layer_products)
                )
            mask = None if masks is None else masks.outputs[layer]
            outputs = outputs if mask is None else outputs * mask
            after.append(carried)
        assert outputs is not None, "a network has at least one layer"
        return outputs, tuple(torch.stack(parts) for parts in zip(*after, strict=True))

    # --- the parts of a layer ---------------------------------------------------------------------

    def _layer_weights(
        self, layer: int, masks: DropoutMasks | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns a layer's matrices and biases, after weight dropout."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        inner, recurrent, *biases = (getattr(self.lstm, f"{name}_l{layer}") for name in names)
        mask = None if masks is None else masks.recurrent[layer]
        return (inner, recurrent if mask is None else recurrent * mask, biases[0], biases[1])

    def _gain(self, layer: int) -> Tensor | None:
        """Returns a layer's gain [4H]; None unless gates are normalised."""
        gain: Tensor | None = getattr(self.lstm, f"gain_l{layer}", None)
        return None if gain is None else gain.view(-1)

    def _gate_inputs(
        self, ids: Tensor, inputs: Tensor | None, matrix: Tensor, masks: DropoutMasks | None
    ) -> Tensor:
        """Returns what the layer's inputs add to its gates, [T, B, 4H].

        In the first layer they depend on the character alone, so a table [V, 4H] is returned. With
        dropout of the embedding they depend on the stream as well, and there is no table.

        Args:
            ids: int64 [T, B].
            inputs: outputs of the layer below, [T, B, H]; None in the first layer.
            matrix: input weights, [4H, D].
            masks: what is dropped.
        """
        if inputs is not None:
            return functional.linear(inputs, matrix)
        if masks is not None and masks.inputs is not None:
            return functional.linear(self.embedded(ids, masks), matrix)
        with torch.autocast(ids.device.type, enabled=False):
            return matrix.t() if self.embedding is None else self.embedding.weight @ matrix.t()


class NormalisedLSTM(CharacterLSTM):
    """An LSTM whose gates are normalised; see `model.network.torch_layer.normalised_layer`.

    Besides an LSTM's parameters each layer has a gain [4, H].
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int) -> None:
        super().__init__(config, vocabulary_size)
        for layer in range(config.layers):
            gain = nn.Parameter(torch.ones(4, config.hidden))
            self.lstm.register_parameter(f"gain_l{layer}", gain)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Runs the layers one time step after the other; see `CharacterNetwork.forward`."""
        state = self.initial_state(ids.shape[1]) if state is None else state
        return self.training_forward(ids, state, None, "torch", torch.float32)
