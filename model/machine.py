"""What this machine computes with: device, precision, threads, kind of layer. PyTorch."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from model.config import ModelConfig, TrainingConfig
from model.cores import usable_cores
from model.distributed.rank import ProcessPlace
from model.engine import Engine
from model.errors import ConfigError
from model.kernels.availability import can_compile
from model.kernels.cpu import HAS_AMX, HAS_BFLOAT16
from model.lstm_layer import can_pack

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of these settings in glibc's ``malloc.h``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where and how to compute."""

    device: torch.device
    engine: Engine
    queues: bool = False
    """Whether the device works through a queue while the program goes on, as CUDA does: nothing
    then asks for a result in the middle of a step, and its figures are read one step later."""
    holds_text: bool = False
    """Whether the text's ids are kept on the device, where they fit."""

    @classmethod
    def on(cls, device: torch.device, engine: Engine) -> Machine:
        """Returns a machine that does on the device what that kind of device is good at."""
        elsewhere = device.type != "cpu"
        return cls(device=device, engine=engine, queues=device.type == "cuda", holds_text=elsewhere)

    def take(self, array: npt.NDArray[Any]) -> Tensor:
        """Returns an array on the device; where that has a queue, nobody waits for the copy."""
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    @property
    def autocast(self) -> torch.dtype | None:
        """Type of the matrix products while training; None leaves them in float32."""
        return None if self.engine.precision == "fp32" else torch.bfloat16

    @property
    def precision(self) -> str:
        """``bf16`` or ``fp32``, as events report it."""
        return self.engine.precision

    @property
    def threads(self) -> int:
        """Threads of a step."""
        return self.engine.threads


def possible_engines(
    training: TrainingConfig,
    device: torch.device,
    place: ProcessPlace = ProcessPlace(),  # noqa: B008 - frozen
    model: ModelConfig | None = None,
) -> list[Engine]:
    """Returns the ways of computing that the settings leave open, the safest guess first.

    Processes on one machine share its cores; ``--threads`` is each one's. Without a model ways that
    suit some networks alone are left out.

    Sharing each of PyTorch's products among threads is left out: they meet at every time step, gain
    less than threads with streams of their own, and lose most of the speed when the machine has
    other work. Where our layer is compiled with its products, threads share its units as well.
    """
    native = _native_bf16(device)
    precision = training.precision
    if precision == "auto":
        precision = "bf16" if native else "fp32"
    if device.type != "cpu":
        threads = training.threads or 1
        return [Engine(precision=precision, layer="whole", threads_of_a_shard=threads)]
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
            counts, packs=native and can_pack() and can_compile(), shape=(training, model)
        )
    if "fp32" in precisions:
        engines += [Engine(precision="fp32", shards=count) for count in counts]
    return engines


def _bf16_engines(
    counts: Sequence[int], *, packs: bool, shape: tuple[TrainingConfig, ModelConfig | None]
) -> list[Engine]:
    """Returns the ways of computing in bfloat16 with so many threads."""
    engines = []
    is_one_call = packs and _can_be_one_call(*shape)
    compiles = packs and HAS_BFLOAT16
    for count in counts:
        if not compiles:
            engines.append(Engine(precision="bf16", shards=count))
        if is_one_call:  # layer by layer the same products would take longer
            engines.append(Engine(precision="bf16", layer="compiled", shards=count))
        elif packs:
            engines.append(Engine(precision="bf16", layer="packed", shards=count))
        if compiles and count > 1 and (HAS_AMX or not is_one_call):
            shared = Engine(precision="bf16", layer="packed", threads_of_a_shard=count)
            engines.append(shared)
    return engines


def _can_be_one_call(training: TrainingConfig, model: ModelConfig | None) -> bool:
    """Whether a step may be a single call of compiled code, `model.compiled_step`.

    It is for one layer, on a processor with products of pairs.
    """
    if model is None or model.layers > 1 or model.hidden % 2 or training.scoring != "every":
        return False
    if training.embedding_dropout and (model.embedding == 0 or model.embedding % 2):
        return False
    return HAS_BFLOAT16


def trains_in_bf16() -> bool:
    """Whether a training on this machine's processor takes bfloat16 unless it is told otherwise."""
    return _native_bf16(torch.device("cpu"))


def can_compute(engine: Engine) -> bool:
    """Whether this machine's processor can do what the engine's kind of layer needs."""
    if engine.layer == "packed":
        return can_pack() and can_compile()
    return engine.layer != "compiled" or (HAS_BFLOAT16 and can_compile())


def prepare_thread(threads: int) -> None:
    """Sets up the calling thread for computing; call it before its first tensor operation."""
    torch.set_num_threads(threads)
    # Numbers near zero cost an LSTM on a CPU up to twenty times the time of others.
    torch.set_flush_denormal(True)


def keep_freed_memory() -> bool:
    """Lets the C library keep what a step frees, for the next one; for the whole process.

    It gives back to the system what is free at the end of its heap beyond some megabytes, and
    every step would then have its activations put in place, and cleared, page by page again.

    Returns:
        Whether this C library can be told so (glibc can).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1) and mallopt(_MMAP_THRESHOLD, 32 * 2**20))


def give_back_memory() -> None:
    """Gives back to the system what is free now: what was tried out and is not needed again."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def choose_device(
    name: str,
    place: ProcessPlace = ProcessPlace(),  # noqa: B008 - frozen
) -> torch.device:
    """Returns the device of that name; ``auto`` takes the fastest kind there is.

    Of several processes on a machine each takes a card of its own.

    Raises:
        ConfigError: a device was asked for that this machine does not have, or has too few of.
    """
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    if not available[name]:
        have = ", ".join(kind for kind, there in available.items() if there)
        raise ConfigError("--device", f"this machine has no {name}", f"it has: {have}")
    if name != "cuda" or place.size == 1:
        return torch.device(name)
    if torch.cuda.device_count() < place.local_size:
        raise ConfigError(
            "--device",
            f"this machine has {torch.cuda.device_count()} cards for {place.local_size} processes",
            "start as many processes as it has cards, or give --device cpu",
        )
    return torch.device(name, place.local_rank)


def _native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices natively; emulated, they are slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return bool(supported()) if supported is not None else False
    return False
