"""Ways of training that `bench` compares: ours, the stock loop, and matrix products alone. PyTorch.

Letters: B batch, T time, V vocabulary, H hidden, L layers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.batches import make_batches
from model.bench_keras import fits, keras_fit, keras_is_installed
from model.bench_rows import OURS, Task, Way
from model.config import ModelConfig, TrainingConfig
from model.initialisation import initial_weights
from model.machine import keep_freed_memory, possible_engines, prepare_thread
from model.network import CharacterLSTM
from model.self_timing import choose_machine
from model.trainer import Trainer

VOCABULARY_SIZE = 96
SEQUENCE = 64
TEXT_LENGTH = 300_000
PRODUCTS_AT_ONCE = 20
STOCK_THREADS = torch.get_num_threads()
"""PyTorch's own choice, before anybody here makes another."""


def training_ways(task: Task, resources: ExitStack) -> Mapping[str, Way]:
    """Returns the ways of training a network of the task's shape on made-up characters.

    Closing ``resources`` ends the threads that they use.
    """
    ways: dict[str, Way] = {
        OURS: _our_trainer(task, resources),
        "nn.LSTM": _stock_loop(task),
    }
    if task.device != "cpu":
        return ways
    ways["limit-fp32"] = _products_alone(task, torch.float32)
    settings = TrainingConfig(batch=task.width)
    if any(e.precision == "bf16" for e in possible_engines(settings, torch.device("cpu"))):
        ways["limit-bf16"] = _products_alone(task, torch.bfloat16)
    if keras_is_installed() and fits(task):
        ways["keras"] = keras_fit(VOCABULARY_SIZE)
    return ways


def operations_per_character(task: Task) -> int:
    """Returns the floating-point operations in the products of one trained character.

    Each of the L recurrent and L - 1 inner matrices [4H, H] takes part in three products (forward,
    gradient of its input, gradient of itself) of 8 H^2 operations; the head [V, H] likewise. The
    first layer's input is looked up.
    """
    hidden, layers = task.hidden, task.layers
    return 24 * hidden**2 * (2 * layers - 1) + 6 * hidden * VOCABULARY_SIZE


def device_tasks() -> tuple[Task, ...]:
    """Returns what is to be measured on the cards that this machine has; nothing without one."""
    kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    shape = {"hidden": 1024, "layers": 2}
    return tuple(
        Task(kind=kind, width=width, device=device, **shape)  # type: ignore[arg-type]
        for device, there in kinds.items()
        if there
        for kind, width in (("training", 64), ("training", 256), ("sampling", 1), ("sampling", 32))
    )


def _repeat(step: Callable[[], int], span: float, device: str = "cpu") -> float:
    """Returns characters per second of steps that tell how many they did, once they are done."""
    began = time.perf_counter()
    done = 0
    while time.perf_counter() - began < span or not done:
        done += step()
    torch.get_device_module(device).synchronize()
    return done / (time.perf_counter() - began)


def _text() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, VOCABULARY_SIZE, TEXT_LENGTH, dtype=np.uint8)


def _our_trainer(task: Task, resources: ExitStack) -> Way:
    """The trainer itself, with the way of computing that it chooses at the start of a run."""
    model = ModelConfig(hidden=task.hidden, layers=task.layers)
    training = TrainingConfig(
        batch=task.width,
        sequence=SEQUENCE,
        device=task.device,  # type: ignore[arg-type]
        averaging=0.0,
    )
    machine = choose_machine(training, model, VOCABULARY_SIZE)
    network = CharacterLSTM(model, VOCABULARY_SIZE)
    network.load_arrays(initial_weights(model, VOCABULARY_SIZE, seed=0))
    trainer = Trainer(network, make_batches(_text(), training, subject="text"), training, machine)
    resources.callback(trainer.close)

    def way(span: float) -> float:
        keep_freed_memory()
        prepare_thread(machine.engine.threads_of_a_shard)
        return _repeat(lambda: trainer.step(0.0).characters, span, task.device)

    return way


class _StockNetwork(nn.Module):
    """What a tutorial builds: one-hot vectors, ``nn.LSTM``, a linear head."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.lstm = nn.LSTM(VOCABULARY_SIZE, task.hidden, task.layers)
        self.head = nn.Linear(task.hidden, VOCABULARY_SIZE)

    def forward(
        self, ids: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        outputs, state = self.lstm(functional.one_hot(ids, VOCABULARY_SIZE).float(), state)
        return self.head(outputs), state


def _stock_loop(task: Task) -> Way:
    """The loop of a tutorial: float32, plain AdamW, state carried and detached."""
    torch.manual_seed(0)
    network = _StockNetwork(task).to(task.device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    ids = torch.from_numpy(_text().astype(np.int64)).to(task.device)
    stride = len(ids) // task.width
    streams = ids[: stride * task.width].view(task.width, stride).t().contiguous()
    place, state = 0, None

    def step() -> int:
        nonlocal place, state
        if place + SEQUENCE + 1 > stride:
            place, state = 0, None
        logits, after = network(streams[place : place + SEQUENCE], state)
        state = (after[0].detach(), after[1].detach())
        targets = streams[place + 1 : place + SEQUENCE + 1]
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        place += SEQUENCE
        return SEQUENCE * task.width

    def way(span: float) -> float:
        torch.set_num_threads(STOCK_THREADS)
        torch.set_flush_denormal(False)
        return _repeat(step, span, task.device)

    return way


def _products_alone(task: Task, kind: torch.dtype) -> Way:
    """Characters a second if the products [B, H] x [H, 4H] were all the work there is.

    The better of PyTorch's threads sharing each product, and threads with a part of the batch each.
    """
    parts = max(1, min(STOCK_THREADS, task.width))
    flops = 8 * task.hidden**2

    def operands(rows: int) -> tuple[Tensor, Tensor, Tensor]:
        x = torch.randn(rows, task.hidden).to(kind)
        matrix = torch.randn(task.hidden, 4 * task.hidden).to(kind)
        return x, matrix, torch.empty(rows, 4 * task.hidden, dtype=kind)

    whole = operands(task.width)
    shares = [operands(task.width // parts) for _ in range(parts)]

    def multiply(chosen: tuple[Tensor, Tensor, Tensor]) -> int:
        for _ in range(PRODUCTS_AT_ONCE):
            torch.mm(chosen[0], chosen[1], out=chosen[2])
        return PRODUCTS_AT_ONCE * len(chosen[0])

    def alone(share: tuple[Tensor, Tensor, Tensor], span: float) -> float:
        torch.set_num_threads(1)
        return _repeat(lambda: multiply(share), span)

    def way(span: float) -> float:
        torch.set_num_threads(STOCK_THREADS)
        rate = _repeat(lambda: multiply(whole), span / 2)
        if parts > 1:
            with ThreadPoolExecutor(parts) as pool:
                rates = pool.map(lambda share: alone(share, span / 2), shares)
                rate = max(rate, sum(rates))
        return rate * flops / operations_per_character(task)

    return way
