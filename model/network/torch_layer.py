"""One LSTM layer over a whole sequence, trained: PyTorch's own, and what ours shares with it.

Ours is `model.network.compiled_layer`. It wins where the products are large; for small layers
PyTorch's fused loop does. ``model.training.autotune`` measures which. Letters: T time, B batch, H
hidden.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

WEIGHTS_OF_A_LAYER = 4

LayerState = tuple[Tensor, Tensor]
"""Hidden and cell state of one layer, each [B, H]."""

# They are copied into one chunk at each step, which is no work beside the products'.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")


def torch_layers(
    inputs: Tensor,
    weights: Sequence[Tensor],
    state: tuple[Tensor, ...],
    products: torch.dtype | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Runs PyTorch's LSTM, all its layers.

    Args:
        inputs: [T, B, D].
        weights: of each layer [4H, D], [4H, H], [4H], [4H], as in ``nn.LSTM``'s state dict.
        state: what is carried in.
        products: type of everything in it; None leaves that to autocast. Autocast takes float16
            for an LSTM on CUDA, whatever type it is told, and small gradients vanish in that.

    Returns:
        Outputs [T, B, H] and the state to carry on.
    """
    told: Any = nullcontext()
    if products is not None:
        told = torch.autocast(inputs.device.type, enabled=False)
        inputs, state = inputs.to(products), tuple(part.to(products) for part in state)
        weights = [weight.to(products) for weight in weights]
    with told:
        outputs, hidden, cell = torch._VF.lstm(  # noqa: SLF001
            inputs,
            state,
            list(weights),
            True,  # biases
            len(weights) // WEIGHTS_OF_A_LAYER,
            0.0,
            True,  # training
            False,
            False,
        )
    return outputs, (hidden, cell)


def torch_layer(
    inputs: Tensor,
    weights: tuple[Tensor, Tensor, Tensor, Tensor],
    state: LayerState,
    products: torch.dtype | None,
) -> tuple[Tensor, LayerState]:
    """Runs one layer of it; the state is that of the layer alone."""
    outputs, (hidden, cell) = torch_layers(
        inputs, weights, (state[0].unsqueeze(0), state[1].unsqueeze(0)), products
    )
    return outputs, (hidden[0], cell[0])


def can_pack() -> bool:
    """Whether this build of PyTorch packs bfloat16 matrices for its CPU products."""
    try:
        matrix = torch.eye(16, dtype=torch.bfloat16)
        packed = PackedProduct(matrix, rows=2, products=torch.bfloat16)
        return bool((packed(matrix[:2]) == matrix[:2]).all())
    except (RuntimeError, AttributeError, NotImplementedError):
        return False


class PackedProduct:
    """``x -> x @ matrix.T`` for many x of the same shape, with the matrix packed once if it can."""

    def __init__(self, matrix: Tensor, *, rows: int, products: torch.dtype) -> None:
        self._packed: Tensor | None = None
        self._transposed = matrix.t()
        if products is torch.bfloat16:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(matrix, rows)  # noqa: SLF001

    def __call__(self, x: Tensor) -> Tensor:
        """Multiplies."""
        if self._packed is None:
            return torch.mm(x, self._transposed)
        return torch.ops.mkldnn._linear_pointwise(  # type: ignore[no-any-return]  # noqa: SLF001
            x, self._packed, None, "none", [], ""
        )
