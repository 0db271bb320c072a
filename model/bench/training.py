"""Training implementations that `bench` compares: ours, and matrix products alone. PyTorch.

Letters: B batch, T time, V vocabulary, H hidden, L layers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor

from model.bench.rows import OURS, Implementation, Task
from model.compute.malloc import keep_freed_memory
from model.compute.torch_threads import prepare_thread
from model.config import ModelConfig, TrainingConfig
from model.data.batches import make_batches
from model.network.lstm import CharacterLSTM
from model.network.parameters import initial_parameters
from model.system.cores import usable_cores
from model.training.autotune import choose_machine
from model.training.engines import can_compile, trains_in_bf16
from model.training.trainer import Trainer

VOCABULARY_SIZE = 96
SEQUENCE = 64
TEXT_CHARACTERS = 300_000
PRODUCTS_PER_TIMING = 20
THREADS = usable_cores()
"""Threads of the matrix products alone."""


def training_implementations(task: Task, resources: ExitStack) -> Mapping[str, Implementation]:
    """Returns our trainer for a network of the task's shape, and the limits.

    Closing ``resources`` ends the threads that they start.
    """
    implementations: dict[str, Implementation] = {OURS: _our_trainer(task, resources)}
    if task.device != "cpu":
        return implementations
    implementations["limit-fp32"] = _products_alone(task, torch.float32)
    if trains_in_bf16():
        implementations["limit-bf16"] = _products_alone(task, torch.bfloat16)
    if can_compile():
        from model.bench.packed_products import packed_products_alone  # noqa: PLC0415 - Numba

        implementations["limit-packed"] = packed_products_alone(task)
    return implementations


def operations_per_character(task: Task) -> int:
    """Returns the floating-point operations in the products of one trained character.

    Each of the L recurrent and L - 1 inner matrices [4H, H] takes part in three products (forward,
    gradient of its input, gradient of itself) of 8 H^2 operations; and so does the head [V, H]. The
    first layer's input is looked up.
    """
    hidden, layers = task.hidden, task.layers
    return 24 * hidden**2 * (2 * layers - 1) + 6 * hidden * VOCABULARY_SIZE


def device_tasks() -> tuple[Task, ...]:
    """Returns the tasks for the GPUs of this machine."""
    kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    shape = {"hidden": 1024, "layers": 2}
    return tuple(
        Task(kind=kind, width=width, device=device, **shape)  # type: ignore[arg-type]
        for device, there in kinds.items()
        if there
        for kind, width in (("training", 64), ("training", 256), ("sampling", 1), ("sampling", 32))
    )


def repeated(step: Callable[[], int], span: float, device: str = "cpu") -> float:
    """Repeats a step that returns its characters; returns characters per second."""
    began = time.perf_counter()
    done = 0
    while time.perf_counter() - began < span or not done:
        done += step()
    torch.get_device_module(device).synchronize()
    return done / (time.perf_counter() - began)


def random_text() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Returns uint8 ids of random characters, always the same ones."""
    return np.random.default_rng(0).integers(0, VOCABULARY_SIZE, TEXT_CHARACTERS, dtype=np.uint8)


def _our_trainer(task: Task, resources: ExitStack) -> Implementation:
    """Returns the trainer itself, with the engine that a run would choose at its start."""
    model = ModelConfig(hidden=task.hidden, layers=task.layers)
    training = TrainingConfig(
        batch=task.width,
        sequence=SEQUENCE,
        device=task.device,  # type: ignore[arg-type]
        averaging=0.0,
    )
    machine = choose_machine(training, model, VOCABULARY_SIZE)
    network = CharacterLSTM(model, VOCABULARY_SIZE)
    network.load_arrays(initial_parameters(model, VOCABULARY_SIZE, seed=0))
    trainer = Trainer(
        network, make_batches(random_text(), training, subject="text"), training, machine
    )
    resources.callback(trainer.close)

    def rate(span: float) -> float:
        keep_freed_memory()
        prepare_thread(machine.engine.threads_per_shard)
        return repeated(lambda: trainer.step(0.0).characters, span, task.device)

    return rate


def _products_alone(task: Task, kind: torch.dtype) -> Implementation:
    """Returns the limit: only the products [B, H] x [H, 4H], as many as a character needs.

    The faster of two: PyTorch's threads share each product, or each thread has a part of the batch.
    """
    parts = max(1, min(THREADS, task.width))
    flops = 8 * task.hidden**2

    def operands(rows: int) -> tuple[Tensor, Tensor, Tensor]:
        x = torch.randn(rows, task.hidden).to(kind)
        matrix = torch.randn(task.hidden, 4 * task.hidden).to(kind)
        return x, matrix, torch.empty(rows, 4 * task.hidden, dtype=kind)

    undivided = operands(task.width)
    shares = [operands(task.width // parts) for _ in range(parts)]

    def run_matmuls(chosen: tuple[Tensor, Tensor, Tensor]) -> int:
        for _ in range(PRODUCTS_PER_TIMING):
            torch.mm(chosen[0], chosen[1], out=chosen[2])
        return PRODUCTS_PER_TIMING * len(chosen[0])

    def alone(share: tuple[Tensor, Tensor, Tensor], span: float) -> float:
        torch.set_num_threads(1)
        return repeated(lambda: run_matmuls(share), span)

    def rate(span: float) -> float:
        torch.set_num_threads(THREADS)
        best = repeated(lambda: run_matmuls(undivided), span / 2)
        if parts > 1:
            with ThreadPoolExecutor(parts) as pool:
                rates = pool.map(lambda share: alone(share, span / 2), shares)
                best = max(best, sum(rates))
        return best * flops / operations_per_character(task)

    return rate
