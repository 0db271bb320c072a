"""Compiles all kernels for this processor, and saves them on the disk. PyTorch.

    python -P -m model.bench.warm_up

-P keeps Python from importing files of the working directory. ``make`` runs this when it sets up,
because otherwise the first training or long text would wait some ten seconds.
"""

from __future__ import annotations

import numpy as np
import torch

from model.compute.device import trains_in_bf16
from model.config import ModelConfig
from model.kernels.cpu import HAS_BFLOAT16
from model.network.parameters import initial_parameters
from model.network.snapshot import LstmSnapshot
from model.network.torch_layer import can_pack_bfloat16
from model.sampling.noise import GumbelNoise
from model.sampling.stepper import SamplerState
from model.system.compiled_code import setback
from model.training.engines import can_compile

HIDDEN, SYMBOLS = 16, 3


def main() -> None:
    """Compiles the kernels that this processor can use."""
    if not can_compile():
        raise SystemExit(setback())
    if trains_in_bf16() and can_pack_bfloat16():
        from model.network.compiled_layer import prepare_packed_layer  # noqa: PLC0415

        prepare_packed_layer(torch.bfloat16)
        if HAS_BFLOAT16:
            from model.network.lstm import CharacterLSTM  # noqa: PLC0415
            from model.training.compiled_step import CompiledStep  # noqa: PLC0415

            CompiledStep(CharacterLSTM(ModelConfig(hidden=HIDDEN), SYMBOLS))
    for precision in ("fp32", "bf16"):
        _decode_a_little(precision)


def _decode_a_little(precision: str) -> None:
    """Decodes a little with an untrained network."""
    model = ModelConfig(hidden=HIDDEN)
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

    CompiledDecoder(snapshot, state, 1.0, threads=1).close()


if __name__ == "__main__":
    main()
