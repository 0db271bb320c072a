"""The causal dilated convolution: embedding, stacks of gated blocks, a linear head. PyTorch.

`model.network.conv_form` says what it computes. Letters: T time, B batch, V vocabulary, E
embedding, H channels, L stacks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.compute.engine import LayerKind
from model.config import NORM_EPSILON, ModelConfig
from model.network.character_network import CharacterNetwork, State
from model.network.conv_form import DILATIONS, TAPS, dilations_of
from model.network.dropout import DropoutMasks


class CharacterConv(CharacterNetwork):
    """Embedding (or one-hot vectors), stacks of dilated convolutions, a linear head.

    Its state is what each block has read of the last characters: [dilation, B, H]. A sequence
    therefore computes the same in one piece and in several, and after training character by
    character.
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int) -> None:
        super().__init__(config, vocabulary_size)
        width = config.hidden
        self.inputs = nn.Linear(self.input_width, width)
        self.dilations = dilations_of(config)
        self.norms = nn.ModuleList(nn.RMSNorm(width, NORM_EPSILON) for _ in self.dilations)
        self.blocks = nn.ModuleList(
            nn.Conv1d(width, 2 * width, TAPS, dilation=dilation) for dilation in self.dilations
        )
        self.ends = nn.ModuleList(nn.RMSNorm(width, NORM_EPSILON) for _ in range(config.layers))
        self.head = nn.Linear(width, vocabulary_size)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Runs all stacks; see `CharacterNetwork.forward`."""
        return self._run(ids, self.initial_state(ids.shape[1]) if state is None else state, None)

    def training_forward(
        self,
        ids: Tensor,
        state: State,
        masks: DropoutMasks | None,
        kind: LayerKind,  # noqa: ARG002 - PyTorch computes it alone
        products: torch.dtype,  # noqa: ARG002 - autocast decides
    ) -> tuple[Tensor, State]:
        """Runs all stacks with dropout; see `CharacterNetwork.training_forward`."""
        return self._run(ids, state, masks)

    def _run(self, ids: Tensor, state: State, masks: DropoutMasks | None) -> tuple[Tensor, State]:
        # The sums stay in float32: only the products may be bfloat16.
        outputs = self.inputs(self.embedded(ids, masks)).float()
        after = []
        for layer in range(self.config.layers):
            for block in range(layer * len(DILATIONS), (layer + 1) * len(DILATIONS)):
                read = torch.cat((state[block], self.norms[block](outputs)))
                outputs = outputs + self._block(block, read, masks)
                after.append(read[-self.dilations[block] :])
            outputs = self.ends[layer](outputs)
            mask = None if masks is None else masks.outputs[layer]
            outputs = outputs if mask is None else outputs * mask
        return outputs, tuple(after)

    def _block(self, block: int, read: Tensor, masks: DropoutMasks | None) -> Tensor:
        """Returns what a block adds to its input, [T, B, H].

        A product with a matrix of both taps is faster on a CPU than ``conv1d``, which wants the
        time last.

        Args:
            block: its number.
            read: what it reads, [dilation + T, B, H].
            masks: what is dropped.
        """
        dilation, layer = self.dilations[block], block // len(DILATIONS)
        convolution = self.blocks[block]
        assert isinstance(convolution, nn.Conv1d)
        matrix = convolution.weight.flatten(1)
        mask = None if masks is None else masks.recurrent[layer]
        if mask is not None:
            matrix = matrix * mask.chunk(len(DILATIONS))[block % len(DILATIONS)]
        taps = torch.stack((read[:-dilation], read[dilation:]), dim=-1).flatten(-2)
        sums = functional.linear(taps, matrix, convolution.bias)
        return functional.glu(sums, dim=-1).float()
