"""Compiles all kernels for this processor, and saves them on the disk. PyTorch.

    python -P -m model.bench.warm_up [NETWORK ...]

-P keeps Python from importing files of the working directory. ``make`` runs this when it sets up,
because otherwise the first training or long text would wait for most of a minute. It runs one
process for each network, side by side, because Numba compiles one function after the other.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from model.config import ModelConfig, NetworkKind, SamplingConfig
from model.kernels.cpu import HAS_BFLOAT16
from model.network.parameters import initial_parameters
from model.network.snapshot import LstmSnapshot
from model.sampling.noise import GumbelNoise
from model.sampling.sampler_state import SamplerState
from model.system.compiled_code import setback
from model.training.engines import can_compile

HIDDEN, SYMBOLS = 16, 3
KINDS: Final[tuple[NetworkKind, ...]] = ("lstm", "rms-lstm")
"""Networks with compiled code."""


def main(names: Sequence[str]) -> None:
    """Compiles the kernels that this processor can use, of the networks named or of all."""
    unknown = set(names) - set(KINDS)
    if unknown:
        raise SystemExit(f"{min(unknown)!r}: has no compiled code; there are: {', '.join(KINDS)}")
    if not can_compile():
        raise SystemExit(setback())
    from model.network.compiled_layer import prepare_compiled_layer  # noqa: PLC0415
    from model.network.compiled_step import CompiledStep  # noqa: PLC0415
    from model.network.make import make_network  # noqa: PLC0415

    for kind in (kind for kind in KINDS if not names or kind in names):
        model = ModelConfig(network=kind, hidden=HIDDEN)
        for products in (torch.float32, torch.bfloat16)[: 2 if HAS_BFLOAT16 else 1]:
            prepare_compiled_layer(products, normalised=model.is_normalised)
            network = make_network(model, SYMBOLS)
            gradients = [torch.zeros_like(each.detach()) for each in network.parameters()]
            CompiledStep(network, gradients, products)
        for precision in ("fp32", "bf16"):
            _decode_a_little(model, precision)


def _decode_a_little(model: ModelConfig, precision: str) -> None:
    """Decodes a little with an untrained network."""
    weights = initial_parameters(model, SYMBOLS, seed=0)
    snapshot = LstmSnapshot.from_weights(weights, step=0, precision=precision)
    zeros = np.zeros((1, HIDDEN, 1), np.float32)
    state = SamplerState(
        carried=(zeros, zeros),
        logits=np.zeros((1, SYMBOLS), np.float32),
        noises=(GumbelNoise(0, SYMBOLS),),
        written=0,
    )
    from model.sampling.compiled_lstm import CompiledDecoder  # noqa: PLC0415 - Numba

    CompiledDecoder(snapshot, state, SamplingConfig(), threads=1).close()


if __name__ == "__main__":
    main(sys.argv[1:])
