"""LSTM layers over a whole sequence by PyTorch, for training.

`model.network.compiled_layer` is the alternative on a CPU. It is faster for large layers, PyTorch's
fused loop for small ones; `model.training.autotune` measures which. Letters: L layers, T time, B
batch, D inputs, H hidden.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from model.config import NORM_EPSILON

TENSORS_PER_LAYER = 4

LayerState = tuple[Tensor, Tensor]
"""Hidden and cell state of one layer, each [B, H]."""

# PyTorch copies the weights into one chunk at each step, which takes little time.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")


def torch_layers(
    inputs: Tensor,
    weights: Sequence[Tensor],
    state: tuple[Tensor, ...],
    products: torch.dtype | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Runs all layers in one call of PyTorch's LSTM.

    Args:
        inputs: [T, B, D].
        weights: of each layer [4H, D], [4H, H], [4H], [4H], as in ``nn.LSTM``'s state dict.
        state: carried in; hidden and cell state, each [L, B, H].
        products: type of the whole computation; None leaves it to autocast. For an LSTM on CUDA
            autocast always uses float16, in which small gradients underflow.

    Returns:
        The outputs [T, B, H] and the state after the last time step.
    """
    casting: Any = nullcontext()
    if products is not None:
        casting = torch.autocast(inputs.device.type, enabled=False)
        inputs, state = inputs.to(products), tuple(part.to(products) for part in state)
        weights = [weight.to(products) for weight in weights]
    with casting:
        outputs, hidden, cell = torch._VF.lstm(  # noqa: SLF001
            inputs,
            state,
            list(weights),
            True,  # biases
            len(weights) // TENSORS_PER_LAYER,
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
    """Runs one layer by PyTorch's LSTM; see `torch_layers`."""
    outputs, (hidden, cell) = torch_layers(
        inputs, weights, (state[0].unsqueeze(0), state[1].unsqueeze(0)), products
    )
    return outputs, (hidden[0], cell[0])


def normalised_layer(
    inputs: Tensor,
    weights: tuple[Tensor, Tensor, Tensor, Tensor],
    gain: Tensor,
    state: LayerState,
    products: torch.dtype | None,
) -> tuple[Tensor, LayerState]:
    """Runs one layer with normalised gates, one time step after the other.

    The sums of a stream are divided by their root mean square over all gates, and multiplied by a
    gain, before the biases are added (RMSNorm, Zhang & Sennrich 2019).

    Args:
        inputs: [T, B, D].
        weights: of the layer; see `torch_layers`.
        gain: [4H].
        state: carried in; hidden and cell state, each [B, H].
        products: type of the matrix products; None leaves it to autocast.

    Returns:
        The outputs [T, B, H] and the state after the last time step.
    """
    inner, recurrent, *biases = weights
    casting: Any = nullcontext()
    if products is not None:
        casting = torch.autocast(
            inputs.device.type, products, enabled=products is not torch.float32
        )
    hidden, cell = state
    outputs = []
    with casting:
        for given in functional.linear(inputs, inner):
            sums = (given + functional.linear(hidden, recurrent)).float()
            gates = functional.rms_norm(sums, gain.shape, gain, NORM_EPSILON) + (
                biases[0] + biases[1]
            )
            i, f, g, o = gates.chunk(4, dim=1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            outputs.append(hidden)
    return torch.stack(outputs), (hidden, cell)
