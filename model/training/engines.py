"""Lists the engines that can compute a training step on this machine. PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from model.compute.device import native_bf16
from model.compute.engine import Engine
from model.config import ModelConfig, TrainingConfig
from model.distributed.rank import ProcessRank
from model.kernels.cpu import HAS_AMX, HAS_BFLOAT16
from model.network.torch_layer import can_pack_bfloat16
from model.system.compiled_code import made_or_none
from model.system.cores import usable_cores


def possible_engines(
    training: TrainingConfig,
    device: torch.device,
    place: ProcessRank = ProcessRank(),  # noqa: B008 - frozen
    model: ModelConfig | None = None,
) -> list[Engine]:
    """Returns the engines that the settings allow, the safest guess first.

    Processes on one machine share its cores, and ``--threads`` counts the threads of each process.
    Without a model, engines that support only some networks are left out.

    No engine shares a PyTorch matrix product among threads. Such threads need a barrier at every
    time step and gain less than batch shards. They lose most of the speed on a busy machine. Only
    the compiled packed layer has an engine whose threads share its units.
    """
    native = native_bf16(device)
    precision = training.precision
    if precision == "auto":
        precision = "bf16" if native else "fp32"
    if device.type != "cpu":
        threads = training.threads or 1
        return [Engine(precision=precision, layer="whole", threads_per_shard=threads)]
    threads = training.threads or max(1, usable_cores() // place.local_size)
    streams = -(-training.batch // place.size)
    counts = [training.threads] if training.threads else sorted({1, threads}, reverse=True)
    counts = sorted({min(count, streams) for count in counts}, reverse=True)
    precisions = [precision]
    if training.precision == "auto" and native:
        precisions.append("fp32")
    engines = []
    if "bf16" in precisions:
        engines += _bf16_engines(
            counts, packs=native and can_pack_bfloat16() and can_compile(), shape=(training, model)
        )
    if "fp32" in precisions:
        engines += [Engine(precision="fp32", batch_shards=count) for count in counts]
    return engines


def _bf16_engines(
    counts: Sequence[int], *, packs: bool, shape: tuple[TrainingConfig, ModelConfig | None]
) -> list[Engine]:
    """Returns the bfloat16 engines for each number of threads in ``counts``."""
    engines = []
    is_one_call = packs and _can_be_one_call(*shape)
    compiles = packs and HAS_BFLOAT16
    for count in counts:
        if not compiles:
            engines.append(Engine(precision="bf16", batch_shards=count))
        if is_one_call:  # the packed layer is slower here
            engines.append(Engine(precision="bf16", layer="compiled", batch_shards=count))
        elif packs:
            engines.append(Engine(precision="bf16", layer="packed", batch_shards=count))
        if compiles and count > 1 and (HAS_AMX or not is_one_call):
            shared = Engine(precision="bf16", layer="packed", threads_per_shard=count)
            engines.append(shared)
    return engines


def _can_be_one_call(training: TrainingConfig, model: ModelConfig | None) -> bool:
    """Returns whether a step may be a single call of `model.training.compiled_step`.

    That code supports networks of one layer, on processors with bfloat16 dot products.
    """
    if model is None or model.layers > 1 or model.hidden % 2 or training.scoring != "every":
        return False
    if training.embedding_dropout and (model.embedding == 0 or model.embedding % 2):
        return False
    return HAS_BFLOAT16


def can_compute(engine: Engine) -> bool:
    """Returns whether this processor supports the engine's kind of layer."""
    if engine.layer == "packed":
        return can_pack_bfloat16() and can_compile()
    return engine.layer != "compiled" or (HAS_BFLOAT16 and can_compile())


def can_compile() -> bool:
    """Returns whether a small test function can be compiled (or loaded) and run."""
    return made_or_none(_tried) or False


def _tried() -> bool:
    from model.kernels.jit import adds_up  # noqa: PLC0415 - Numba, a quarter of a second

    return adds_up()
