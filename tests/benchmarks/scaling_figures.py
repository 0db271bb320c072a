"""Measures the table of docs/scaling.md: several processes against one with as many threads.

    python tests/benchmarks/scaling_figures.py [--processes 2] [--hidden 512] [--layers 1]
        [--batch 64] [--sequence 64] [--seconds 8] [--rounds 5] [--precision auto]

Every way makes the same steps of the same network on made-up characters, one way after the other
in each round, so that what slows the machine down slows all of them down:

- one process with as many threads as there are processes (what `charlm-tui train` does alone);
- the processes, each with one thread, as `torchrun -m tui train` starts them;
- the same processes with PyTorch's DistributedDataParallel around the same network;
- as many processes that know nothing of each other, each with its share: compute alone;
- the exchange alone: adding up as many numbers as there are weights.

The last two and the formulas of docs/scaling.md predict the second. Not a test: it passes no
judgement. It wants an otherwise idle machine with as many cores as processes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["OMP_NUM_THREADS"] = "1"

sys.path.append(str(Path(__file__).parents[1] / "support"))

import numpy as np
import torch
from ports import free_port
from torch import Tensor, nn
from torch.nn import functional

from model.compute.device import Machine
from model.compute.engine import Engine
from model.compute.malloc import keep_freed_memory
from model.compute.torch_threads import prepare_thread
from model.config import ModelConfig, TrainingConfig
from model.data.batches import make_batches
from model.distributed.process_group import ALONE, Instruction, ProcessGroup
from model.distributed.rank import ProcessRank, rank_from_environment
from model.network.character_network import CharacterNetwork, State
from model.network.lstm import CharacterLSTM
from model.network.parameters import initial_parameters
from model.training.autotune import choose_machine
from model.training.trainer import Trainer

VOCABULARY_SIZE = 96
TEXT_LENGTH = 400_000
WAYS = ("alone", "processes", "ddp", "share", "exchange")

Work = Callable[[], int]
"""Makes one step; returns its characters (of the exchange: 1)."""


def settings(options: argparse.Namespace) -> tuple[ModelConfig, TrainingConfig]:
    """Returns the network and the training that are measured."""
    model = ModelConfig(hidden=options.hidden, layers=options.layers)
    training = TrainingConfig(
        batch=options.batch,
        sequence=options.sequence,
        device="cpu",
        precision=options.precision,
        reset_probability=0.0,
        averaging=0.0,
    )
    return model, training


def trainer_of(
    model: ModelConfig, training: TrainingConfig, machine: Machine, ranks: ProcessGroup
) -> Trainer:
    """Returns a trainer on made-up characters, the same in every process."""
    random = np.random.default_rng(0)
    ids = random.integers(0, VOCABULARY_SIZE, TEXT_LENGTH, dtype=np.uint8)
    network = CharacterLSTM(model, VOCABULARY_SIZE)
    network.load_arrays(initial_parameters(model, VOCABULARY_SIZE, seed=0))
    batches = make_batches(ids, training, subject="made-up characters")
    return Trainer(network, batches, training, machine, ranks)


class Wrapped(nn.Module):
    """The network's training pass as one module, which is what DistributedDataParallel wraps."""

    def __init__(self, network: CharacterNetwork, machine: Machine) -> None:
        super().__init__()
        self.network = network
        self._machine = machine

    def forward(self, inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns the mean loss of these streams and their state."""
        products = self._machine.products
        with self._machine.autocast():
            outputs, state = self.network.training_forward(
                inputs, state, None, self._machine.engine.layer, products
            )
            logits = self.network.logits(outputs)
        loss = functional.cross_entropy(logits.float().flatten(0, -2), targets.flatten())
        return loss, tuple(part.detach() for part in state)


def ddp_step(
    model: ModelConfig, training: TrainingConfig, machine: Machine, ranks: ProcessGroup
) -> Work:
    """Returns a step by DistributedDataParallel: the same network, batches and optimiser."""
    trainer = trainer_of(model, training, machine, ALONE)
    network, batches = trainer.network, trainer._batches
    wrapped = nn.parallel.DistributedDataParallel(Wrapped(network, machine))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    own = ranks.place.share(training.batch)
    state = network.initial_state(own.stop - own.start)

    def step() -> int:
        nonlocal state
        batch = batches.next()
        inputs = torch.from_numpy(batch.inputs[:, own])
        targets = torch.from_numpy(batch.targets[:, own])
        loss, state = wrapped(inputs, targets, state)
        optimiser.zero_grad()
        loss.backward()
        float(nn.utils.clip_grad_norm_(network.parameters(), 1.0))
        float(loss.detach())
        optimiser.step()
        return int(batch.inputs.size)

    return step


def exchange(model: ModelConfig, ranks: ProcessGroup) -> Work:
    """Returns what one step exchanges beside the instruction, without the step."""
    flat = torch.zeros(CharacterLSTM(model, VOCABULARY_SIZE).parameter_count() + 1)

    def step() -> int:
        ranks.all_reduce_many([flat])
        return 1

    return step


def work_of(way: str, options: argparse.Namespace, ranks: ProcessGroup) -> Work:
    """Returns the step of a way."""
    model, training = settings(options)
    if way == "exchange":
        return exchange(model, ranks)
    if way in {"alone", "share"}:
        if way == "share":
            training = dataclasses.replace(training, batch=options.batch // options.processes)
        threads = options.processes if way == "alone" else 1
        timed = dataclasses.replace(training, threads=threads)
        machine = choose_machine(timed, model, VOCABULARY_SIZE)
    else:
        engine = Engine.from_record(json.loads(options.engine))
        machine = Machine(device=torch.device("cpu"), engine=engine)
    keep_freed_memory()
    prepare_thread(machine.engine.threads_per_shard)
    if way == "ddp":
        return ddp_step(model, training, machine, ranks)
    trainer = trainer_of(model, training, machine, ranks)

    return lambda: trainer.step(0.0).characters


def time_in_rank(options: argparse.Namespace) -> None:
    """Makes steps for so many seconds, by the leader's clock; the leader prints the result.

    Before each step the leader says that there is one, as in a training.
    """
    with ProcessGroup.join(rank_from_environment(os.environ)) as ranks:
        step = work_of(options.way, options, ranks)
        for _ in range(2):
            step()
        began, characters, steps = time.perf_counter(), 0, 0
        while True:
            going = time.perf_counter() - began < options.seconds or not steps
            instruction = (
                (Instruction.STEP if going else Instruction.END) if ranks.place.leads else None
            )
            if ranks.broadcast_instruction(instruction).instruction is Instruction.END:
                break
            characters += step()
            steps += 1
        seconds = time.perf_counter() - began
    if ranks.place.leads:
        print(json.dumps({"rate": characters / seconds, "seconds_per_step": seconds / steps}))
    if options.way == "ddp":
        # What DistributedDataParallel keeps of the group now and then waits for ever at the end.
        sys.stdout.flush()
        os._exit(0)


def measure(way: str, options: argparse.Namespace, engine: str) -> dict[str, float]:
    """Runs a way in processes of its own."""
    count = 1 if way == "alone" else options.processes
    together = way not in {"alone", "share"}
    port = free_port()
    words = [sys.executable, str(Path(__file__).resolve()), "--way", way, "--engine", engine]
    for name in ("processes", "hidden", "layers", "batch", "sequence", "seconds", "precision"):
        words += [f"--{name}", str(getattr(options, name))]
    running = []
    for rank in range(count):
        environment = {**os.environ, "PYTHONPATH": os.getcwd()}  # noqa: PTH109
        if together:
            environment |= {"RANK": str(rank), "WORLD_SIZE": str(count)}
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        running.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment))
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit(f"{way}: a process failed")
    found: dict[str, float] = json.loads(outputs[0])
    return found


def chosen_engine(options: argparse.Namespace) -> str:
    """Returns the engine that one of the processes would choose, as JSON."""
    model, training = settings(options)
    place = ProcessRank(rank=0, size=options.processes, local_size=options.processes)
    machine = choose_machine(training, model, VOCABULARY_SIZE, place=place)
    return json.dumps(machine.engine.to_record())


def report(options: argparse.Namespace, engine: str, found: dict[str, list[Any]]) -> None:
    """Prints the table, and what the model of docs/scaling.md predicts."""
    print(f"\n{options.layers} x LSTM({options.hidden}), batch {options.batch}, sequence "
          f"{options.sequence}, {options.processes} processes, {engine}\n")  # fmt: skip
    print("| way | characters a second, median (least to most) | of one process |")
    print("|---|---|---|")
    for way in ("alone", "processes", "ddp"):
        rates = [one["rate"] for one in found[way]]
        ratios = [
            mine["rate"] / other["rate"]
            for mine, other in zip(found[way], found["alone"], strict=True)
        ]
        print(f"| {way} | {statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f}) "
              f"| {statistics.median(ratios):.2f} |")  # fmt: skip
    compute, exchanged, step = (
        statistics.median(one["seconds_per_step"] for one in found[way])
        for way in ("share", "exchange", "processes")
    )
    print(
        f"\ncompute of a share {compute * 1e3:.1f} ms, exchange {exchanged * 1e3:.1f} ms, "
        f"predicted step {(compute + exchanged) * 1e3:.1f} ms, measured {step * 1e3:.1f} ms"
    )


def main() -> None:
    """Measures all ways in turn, or is one process of a way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--sequence", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--engine", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way is not None:
        time_in_rank(options)
        return
    engine = chosen_engine(options)
    found: dict[str, list[Any]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            found[way].append(measure(way, options, engine))
            print(f"{way}: {found[way][-1]}", file=sys.stderr)
    report(options, engine, found)


if __name__ == "__main__":
    main()
