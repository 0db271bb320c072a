"""Which way of computing is the fastest here: a short measurement at the start of a training."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

import torch

from model.compute.device import Machine, choose_device
from model.compute.engine import Engine
from model.compute.torch_threads import prepare_thread
from model.config import ModelConfig, Precision, TrainingConfig
from model.distributed.rank import ProcessRank
from model.network.dropout import draw_masks
from model.network.make import make_network
from model.timing import fastest
from model.training.engines import possible_engines
from model.training.gradients import GradientWorkers

WARM_UP_SEQUENCE = 8
"""Time steps of an untimed step: for what each engine does but once, and for its threads, which the
system may wake on one and the same core and moves apart only after some milliseconds of work."""
WARM_UP_STEPS = 3
TIMED_STEPS = 2
"""In a row, of which the quicker counts: the first one finds memory and threads cold."""
ROUNDS = 8
PRUNE_RATIO = 1.5
"""Times the best time so far from which an engine is not measured again."""
MIN_SPEEDUP = 1.15
"""How much faster more threads must be: the screen, the text and other programs want a core, too.

Two threads that are a tenth faster than one alone are slower beside the app (LSTM(128))."""
BUDGET = 2.0
"""Seconds; where the first round has used it up, there is no second."""

RETUNE_AFTER_SECONDS = (60.0, 600.0)
"""Seconds of training after which it is measured again: another program may have been at work when
the training began, and half of the speed of a night is much to lose to it."""
WORTH_A_LOOK = 5
"""Times as long a training must be for it."""

Timer = Callable[[Engine], float]
"""Makes steps with an engine and returns the seconds of one; in the first call of short ones."""


def choose_machine(
    training: TrainingConfig,
    model: ModelConfig,
    vocabulary_size: int,
    *,
    used_before: Engine | None = None,
    place: ProcessRank = ProcessRank(),  # noqa: B008 - frozen
) -> Machine:
    """Returns device and engine: what was asked for, and for the rest the fastest.

    Args:
        training: the settings; ``auto`` and 0 leave a choice open.
        model: the shape to measure.
        vocabulary_size: V.
        used_before: the engine of a run that is gone on with; taken again where it is possible, for
            no two engines round alike.
        place: of this process among those that train together: what is timed is its own share.

    Raises:
        ConfigError: a device was asked for that this machine does not have.
    """
    device = choose_device(training.device, place)
    engines = possible_engines(training, device, place, model)
    # Also one that is no longer measured for such a network.
    if used_before in [*engines, *possible_engines(training, device, place)]:
        return Machine.on(device, used_before)
    if len(engines) == 1:
        return Machine.on(device, engines[0])
    share = dataclasses.replace(training, batch=-(-training.batch // place.size))
    with _timer(share, model, vocabulary_size, device) as timer:
        return Machine.on(device, fastest_engine(engines, timer))


def retune_times(training: TrainingConfig) -> list[float]:
    """Returns the seconds of training after which to measure again."""
    if training.minutes is None:
        return list(RETUNE_AFTER_SECONDS)
    return [look for look in RETUNE_AFTER_SECONDS if WORTH_A_LOOK * look <= 60 * training.minutes]


def retune(
    machine: Machine, training: TrainingConfig, model: ModelConfig, vocabulary_size: int
) -> Machine:
    """Returns the machine with the engine that is fastest now; the same one unless it gains.

    The precision stays. A way that is as quick with fewer threads is not taken: that the machine is
    busy now is no reason to do without a core for the rest of a training.

    Args:
        machine: what a training computes with.
        training: its settings.
        model: its shape.
        vocabulary_size: V.
    """
    precision: Precision = "fp32" if machine.autocast is None else "bf16"
    open_ways = dataclasses.replace(training, precision=precision)
    engines = possible_engines(open_ways, machine.device, model=model)
    if machine.engine not in engines or len(engines) == 1:
        return machine
    best: dict[Engine, float] = {}
    with _timer(open_ways, model, vocabulary_size, machine.device) as timer:

        def noted(engine: Engine) -> float:
            seconds = timer(engine)
            # The first call is for warming up.
            best[engine] = min(best[engine], seconds) if engine in best else float("inf")
            return seconds

        chosen = fastest_engine(engines, noted)
    if best[machine.engine] < MIN_SPEEDUP * best[chosen]:
        return machine
    return Machine.on(machine.device, chosen)


@contextmanager
def _timer(
    training: TrainingConfig, model: ModelConfig, vocabulary_size: int, device: torch.device
) -> Iterator[Timer]:
    """Lends a timer; random numbers and PyTorch's threads are as before at the end."""
    with torch.random.fork_rng(devices=[]), ExitStack() as open_pools:
        open_pools.callback(torch.set_num_threads, torch.get_num_threads())
        yield StepTimer(training, model, vocabulary_size, device, open_pools)


def fastest_engine(
    engines: Sequence[Engine], timer: Timer, clock: Callable[[], float] = time.perf_counter
) -> Engine:
    """Returns the fastest engine that does not take more threads for little."""
    return fastest(
        engines,
        timer,
        lambda engine: engine.threads,
        rounds=ROUNDS,
        min_speedup=MIN_SPEEDUP,
        prune_ratio=PRUNE_RATIO,
        budget=BUDGET,
        clock=clock,
    )


class StepTimer:
    """Times steps of a network of the shape at hand, on made-up characters.

    They are as long as those of the training: part of a step's work (packing and dropping weights,
    adding up the gradients of several threads) does not depend on its length, and on short steps
    it would decide alone.
    """

    def __init__(
        self,
        training: TrainingConfig,
        model: ModelConfig,
        vocabulary_size: int,
        device: torch.device,
        open_pools: ExitStack,
    ) -> None:
        self._device = device
        self._open_pools = open_pools
        self._workers: dict[Engine, GradientWorkers] = {}
        self._network = make_network(model, vocabulary_size)
        self._scoring = training.scoring
        ids = torch.randint(vocabulary_size, (training.sequence + 1, training.batch))
        self._inputs = ids[:-1]
        self._targets = ids[1:] if training.scoring == "every" else ids[-1]
        self._state = self._network.initial_state(training.batch)
        self._masks = draw_masks(
            model,
            training,
            batch=training.batch,
            width=self._network.input_width,
            device=device,
        )

    def __call__(self, engine: Engine) -> float:
        """Makes some steps; returns the seconds of the fastest."""
        is_first = engine not in self._workers
        if is_first:
            machine = Machine(device=self._device, engine=engine)
            workers = GradientWorkers(self._network, machine, self._scoring)
            self._workers[engine] = self._open_pools.enter_context(closing(workers))
        prepare_thread(engine.threads_per_shard)
        short = min(len(self._inputs), WARM_UP_SEQUENCE)
        seconds = [self._step(engine, short) for _ in range(WARM_UP_STEPS)]
        if not is_first:
            seconds = [self._step(engine, len(self._inputs)) for _ in range(TIMED_STEPS)]
        return min(seconds)

    def _step(self, engine: Engine, length: int) -> float:
        began = time.perf_counter()
        targets = self._targets[:length] if self._scoring == "every" else self._targets
        self._workers[engine].compute(self._inputs[:length], targets, self._state, self._masks)
        return time.perf_counter() - began
