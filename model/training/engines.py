"""Lists the engines that can compute a training step on this machine. PyTorch."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import torch

from model.compute.engine import Engine, LayerKind
from model.config import ModelConfig, NetworkKind, Precision, TrainingConfig
from model.distributed.rank import ProcessRank
from model.kernels.cpu import HAS_AMX, HAS_BFLOAT16
from model.network.make import layer_kinds
from model.system.compiled_code import made_or_none
from model.system.cores import usable_cores


def supports_bfloat16(device: torch.device) -> bool:
    """Returns whether the device multiplies bfloat16 matrices natively; emulation is slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and HAS_BFLOAT16


def trains_in_bf16() -> bool:
    """Returns whether training on this machine's CPU uses bfloat16 by default."""
    return supports_bfloat16(torch.device("cpu"))


def possible_engines(
    training: TrainingConfig,
    device: torch.device,
    place: ProcessRank = ProcessRank(),  # noqa: B008 - frozen
    model: ModelConfig | None = None,
) -> list[Engine]:
    """Returns the engines that the settings allow, the safest guess first.

    Processes on one machine share its cores, and ``--threads`` counts the threads of each process.
    Without a model, the engines of any LSTM are listed. If threads and precision are given, there
    is one engine, so that a seed trains the same network every time.

    No engine shares a PyTorch matrix product among threads. Such threads need a barrier at every
    time step and gain less than batch shards. They lose most of the speed on a busy machine. Only
    the compiled layer has an engine whose threads share its units.
    """
    precisions = _precisions(training, device)
    if device.type != "cpu":
        return [Engine(precision=precisions[0], threads_per_shard=training.threads or 1)]
    counts = _thread_counts(training, place)
    engines: list[Engine] = []
    kinds = _layer_kinds(training, model)
    if "sequence" in kinds:
        # Where the processor multiplies bfloat16, compiled float32 takes longer (measured with
        # AMX), and so does PyTorch's bfloat16. With normalised gates PyTorch makes one time step
        # after the other, so slowly that to time it takes seconds.
        engines += _compiled_engines(precisions[0], counts, kinds)
        is_normalised = model is not None and model.is_normalised
        precisions = [each for each in precisions if each == "fp32" and not is_normalised]
    for each in precisions:
        engines += [Engine(precision=each, batch_shards=count) for count in counts]
    # Settings that leave nothing open but the kind of layer shall compute the same every time.
    return engines[:1] if training.threads and training.precision != "auto" else engines


def can_go_on_with(
    engine: Engine,
    training: TrainingConfig,
    device: torch.device,
    place: ProcessRank = ProcessRank(),  # noqa: B008 - frozen
    model: ModelConfig | None = None,
) -> bool:
    """Returns whether settings, network and machine allow the engine of a resumed run.

    That a new run would use another engine does not matter.
    """
    if device.type != "cpu":
        return engine in possible_engines(training, device, place, model)
    return (
        engine.precision in _precisions(training, device)
        and engine.threads in _thread_counts(training, place)
        and engine.layer in ("torch", *_layer_kinds(training, model))
    )


def _precisions(training: TrainingConfig, device: torch.device) -> list[Precision]:
    """Returns the precisions that the settings allow, on the CPU all that are worth timing."""
    if training.precision != "auto":
        return [training.precision]
    if not supports_bfloat16(device):
        return ["fp32"]
    return ["bf16", "fp32"] if device.type == "cpu" else ["bf16"]


def _thread_counts(training: TrainingConfig, place: ProcessRank) -> list[int]:
    """Returns the numbers of CPU threads that the settings allow, the largest first."""
    threads = training.threads or max(1, usable_cores() // place.local_size)
    streams = -(-training.batch // place.size)
    counts = {threads} if training.threads else {1, threads}
    return sorted({min(count, streams) for count in counts}, reverse=True)


def _compiled_engines(
    precision: str, counts: Sequence[int], kinds: Collection[LayerKind]
) -> list[Engine]:
    """Returns the compiled engines for each number of threads in ``counts``."""
    engines = []
    for count in counts:
        # Where a whole step can be one call, it is faster than a sequence.
        shard = Engine(precision=precision, layer="step" if "step" in kinds else "sequence")
        engines.append(dataclasses.replace(shard, batch_shards=count))
        if count > 1 and (HAS_AMX or "step" not in kinds):
            # Only AMX gains by it beside a step: threads that share units halve what each reads.
            shared = Engine(precision=precision, layer="sequence", threads_per_shard=count)
            engines.append(shared)
    return engines


def _layer_kinds(training: TrainingConfig, model: ModelConfig | None) -> Collection[LayerKind]:
    """Returns the kinds of layers that network, settings and machine allow."""
    kinds: Collection[LayerKind] = ("torch", "sequence") if model is None else layer_kinds(model)
    if not can_compile():
        return [kind for kind in kinds if kind == "torch"]
    drops_one_hot = training.embedding_dropout and (model is None or not model.embedding)
    if training.scoring != "every" or drops_one_hot:
        return [kind for kind in kinds if kind != "step"]
    return kinds


def suitable_network(device: torch.device) -> NetworkKind:
    """Returns the network that learns the most in a time on a device.

    That is the RMS-LSTM where it is compiled, although a step takes up to a sixth longer. PyTorch
    makes one of its time steps after the other.
    """
    return "rms-lstm" if device.type == "cpu" and can_compile() else "lstm"


def can_compute(engine: Engine) -> bool:
    """Returns whether this machine supports the engine's kind of layer."""
    return engine.layer == "torch" or can_compile()


def can_compile() -> bool:
    """Returns whether a small test function can be compiled (or loaded) and run."""
    return made_or_none(_tried) or False


def _tried() -> bool:
    from model.kernels.jit import adds_up  # noqa: PLC0415 - Numba, a quarter of a second

    return adds_up()
