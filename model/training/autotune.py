"""Chooses the fastest engine by timing short steps at the start of a training. PyTorch."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from statistics import median, median_low

import numpy as np
import torch

from corpus import Vocabulary
from model.compute.device import Machine, choose_device, has_mps
from model.compute.engine import Engine
from model.compute.malloc import give_back_memory
from model.compute.mps_choice import CpuOrMps, StepResult, cpu_or_mps
from model.compute.torch_threads import prepare_thread
from model.config import (
    ModelConfig,
    NetworkKind,
    TrainingConfig,
    units_of_equal_cost,
)
from model.data.batches import make_batches
from model.distributed.rank import ProcessRank
from model.network.dropout import draw_masks
from model.network.make import make_network
from model.plan.ladder import nearest_rung
from model.plan.machine_speed import MachineSpeed
from model.timing import fastest
from model.training.engines import can_go_on_with, possible_engines, suitable_network
from model.training.gradients import GradientWorkers
from model.training.trainer import Trainer

WARM_UP_SEQUENCE = 8
"""Time steps of a warm-up step, which covers an engine's one-time work. It also lets the system
spread the threads over cores: it may wake them on one core and needs milliseconds to move them."""
WARM_UP_STEPS = 3
"""Untimed steps before each measurement."""
TIMED_STEPS = 2
"""Consecutive steps of a measurement. The faster one counts, because the first has cold caches."""
ROUNDS = 8
"""Maximum measurements of each engine."""
PRUNE_RATIO = 1.5
"""An engine slower than this multiple of the best time so far is not measured again."""
MIN_SPEEDUP = 1.15
"""How many times as fast an engine with more threads must be. The app needs cores, too.

Two threads that are a tenth faster than one by themselves are slower beside the app (LSTM(128))."""
MPS = torch.device("mps")
MPS_ROUNDS = 2
"""Measurements of the CPU and of MPS. The first one on MPS also prepares work for its shape."""
BUDGET = 1.0
"""Seconds of measuring after which no further round starts."""
SIZES_TO_MEASURE = (128, 256, 512)
SIZES_TO_MEASURE_ON_CARDS = (128, 512, 1024)
"""Hidden units of the LSTMs whose speed, or that of a network of equal cost, makes a plan. From 128
and 512 alone, that of 256 would be expected a quarter too low with AMX, and a sixth with AVX2."""
SECONDS_PER_SIZE = 0.5
"""Seconds of comparing engines for one size; each is timed at least once."""
SPEED_ROUNDS = 2
"""Measurements of the engine of a card after that."""
WHOLE_STEPS = 4
"""Steps with the usual streams, and with twice as many, that are timed on a CPU."""
NOISE_CHARACTERS = 1 << 16
"""Characters that these steps read."""

RETUNE_AFTER_SECONDS = (60.0, 300.0, 1_500.0, 7_500.0)
"""Training times at which the engines are measured again, seconds. Another program may have been
busy at the start, and the choice made then could halve the speed of a whole night."""
RETUNE_SHARE = 0.01
"""Part of the training so far that measuring again may take, at least `BUDGET`."""
WORTH_A_LOOK = 5
"""A planned training must last this multiple of a retune time; otherwise that retune is omitted."""

Timer = Callable[[Engine], float]
"""Makes steps with an engine and returns the seconds of one step. The first call only warms up."""


def choose_machine(
    training: TrainingConfig,
    model: ModelConfig,
    vocabulary_size: int,
    *,
    used_before: Engine | None = None,
    place: ProcessRank = ProcessRank(),  # noqa: B008 - frozen
) -> Machine:
    """Returns the requested device with the fastest engine that the settings allow.

    ``auto`` is a CUDA card if there is one. Otherwise it is the CPU, or MPS if a step there is
    faster and right. Several processes never choose MPS, because all would share its one GPU.

    Args:
        training: the settings; ``auto`` and 0 leave a choice open.
        model: the shape of the network to measure.
        vocabulary_size: V.
        used_before: the engine of a resumed run. It is used again if possible, because no two
            engines round identically.
        place: the place of this process among those that train together. Only its share of the
            batch is timed.

    Raises:
        ConfigError: this machine does not have the requested device.
    """
    device = choose_device(training.device, place)
    machine = _fastest_on(
        device, training, model, vocabulary_size, used_before=used_before, place=place
    )
    if training.device != "auto" or device.type != "cpu" or place.size > 1 or not has_mps():
        return machine
    on_mps = Machine.on(MPS, possible_engines(training, MPS, model=model)[0])
    if used_before == machine.engine != on_mps.engine:
        return machine  # a run that the CPU began goes on there
    return _cpu_or_mps(machine, on_mps, training, model, vocabulary_size)


def _fastest_on(
    device: torch.device,
    training: TrainingConfig,
    model: ModelConfig,
    vocabulary_size: int,
    *,
    used_before: Engine | None,
    place: ProcessRank,
) -> Machine:
    """Returns a device with its fastest engine, or with the one of a resumed run."""
    if used_before and can_go_on_with(used_before, training, device, place, model):
        return Machine.on(device, used_before)
    engines = possible_engines(training, device, place, model)
    if len(engines) == 1:
        return Machine.on(device, engines[0])
    share = dataclasses.replace(training, batch=-(-training.batch // place.size))
    with _timer(share, model, vocabulary_size, device) as timer:
        return Machine.on(device, fastest_engine(engines, timer))


def _cpu_or_mps(
    on_cpu: Machine,
    on_mps: Machine,
    training: TrainingConfig,
    model: ModelConfig,
    vocabulary_size: int,
) -> Machine:
    """Returns the faster of two machines; the one with MPS only if it computes as the CPU does."""
    machines: dict[CpuOrMps, Machine] = {"cpu": on_cpu, "mps": on_mps}

    def seconds(kind: CpuOrMps) -> float:
        chosen = machines[kind]
        with _timer(training, model, vocabulary_size, chosen.device) as timer:
            return _step_seconds(timer, chosen.engine, MPS_ROUNDS)

    def result(kind: CpuOrMps) -> StepResult:
        device = machines[kind].device
        engine = Engine(precision="fp32", layer=on_mps.engine.layer)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            with _timer(training, model, vocabulary_size, device) as timer:
                return timer.result(engine)

    kind, note = cpu_or_mps(seconds, result)
    return dataclasses.replace(machines[kind], notes=() if note is None else (note,))


def measure_speed(
    training: TrainingConfig,
    vocabulary: Vocabulary,
    *,
    network: NetworkKind | None = None,
    place: ProcessRank = ProcessRank(),  # noqa: B008 - frozen
) -> MachineSpeed:
    """Returns the characters per second of steps with networks that cost as much as some LSTMs.

    The steps are of the usual size; the user's may not even fit in the memory. All processes that
    train together are assumed to be as fast as this one.

    Args:
        training: the settings; device, precision and threads count.
        vocabulary: of the text.
        network: kind of the networks; None for the one that suits this machine.
        place: as in `choose_machine`.
    """
    device = choose_device(training.device, place)
    network = network or suitable_network(device)
    usual = TrainingConfig()
    batch = -(-usual.batch // place.size)
    share = dataclasses.replace(training, batch=batch, sequence=usual.sequence)
    rates, doubled_batch = {}, 1.0
    for hidden in SIZES_TO_MEASURE if device.type == "cpu" else SIZES_TO_MEASURE_ON_CARDS:
        rung = nearest_rung(hidden)
        settings = dataclasses.replace(
            share, embedding_dropout=rung.embedding_dropout, weight_dropout=rung.weight_dropout
        )
        units = units_of_equal_cost(network, hidden)
        model = ModelConfig(
            network=network, hidden=units, embedding=rung.embedding, dropout=rung.dropout
        )
        engines = possible_engines(settings, device, place, model)
        with _timer(settings, model, len(vocabulary), device) as timer:
            engine = fastest_engine(engines, timer, budget=SECONDS_PER_SIZE)
            if device.type != "cpu":
                seconds = _step_seconds(timer, engine, SPEED_ROUNDS)
        if device.type == "cpu":
            machine = Machine.on(device, engine)
            seconds, doubled = _whole_steps(
                machine, settings, model, len(vocabulary), (batch, 2 * batch)
            )
            doubled_batch = 2 * seconds / doubled
        rates[hidden] = usual.batch * usual.sequence / seconds
        give_back_memory()
    return MachineSpeed(rates, doubled_batch, network)


def retune_times(training: TrainingConfig) -> list[float]:
    """Returns the training times at which to measure again, in seconds."""
    if training.minutes is None:
        return list(RETUNE_AFTER_SECONDS)
    return [look for look in RETUNE_AFTER_SECONDS if WORTH_A_LOOK * look <= 60 * training.minutes]


def retune(
    machine: Machine,
    training: TrainingConfig,
    model: ModelConfig,
    vocabulary_size: int,
    seconds: float,
) -> Machine:
    """Returns the machine with the engine that is clearly fastest now; otherwise the same machine.

    The precision stays the same. An equally fast engine with fewer threads is not chosen, because
    the machine may be busy only now.

    Args:
        machine: the machine that a training uses.
        training: the settings.
        model: the shape of the network.
        vocabulary_size: V.
        seconds: of training so far.
    """
    engines = possible_engines(training, machine.device, model=model)
    engines = [engine for engine in engines if engine.precision == machine.engine.precision]
    if machine.engine not in engines or len(engines) == 1:
        return machine
    times: dict[Engine, list[float]] = {engine: [] for engine in engines}
    with _timer(training, model, vocabulary_size, machine.device) as timer:

        def noted(engine: Engine) -> float:
            times[engine].append(timer(engine))
            return times[engine][-1]

        chosen = fastest_engine(engines, noted, budget=max(BUDGET, RETUNE_SHARE * seconds))
    # The first call only warms up.
    now, then = (median_low(times[engine][1:]) for engine in (machine.engine, chosen))
    if now < MIN_SPEEDUP * then:
        return machine
    return Machine.on(machine.device, chosen)


@contextmanager
def _timer(
    training: TrainingConfig, model: ModelConfig, vocabulary_size: int, device: torch.device
) -> Iterator[StepTimer]:
    """Yields a timer; restores the random state and PyTorch's thread count at the end."""
    with torch.random.fork_rng(devices=[]), ExitStack() as open_pools:
        open_pools.callback(torch.set_num_threads, torch.get_num_threads())
        yield StepTimer(training, model, vocabulary_size, device, open_pools)


def _whole_steps(
    machine: Machine,
    training: TrainingConfig,
    model: ModelConfig,
    vocabulary_size: int,
    counts: Sequence[int],
) -> list[float]:
    """Returns the median seconds of a step with each of some counts of streams in a batch.

    They include dropout and update, which take half of a step of LSTM(512) where its products are
    quick, and as long for many streams as for few.
    """
    ids = np.random.default_rng(0).integers(vocabulary_size, size=NOISE_CHARACTERS, dtype=np.uint32)
    seconds = []
    with torch.random.fork_rng(devices=[]), ExitStack() as opened:
        opened.callback(torch.set_num_threads, torch.get_num_threads())
        prepare_thread(machine.engine.threads_per_shard)
        trainers = []
        for streams in counts:
            settings = dataclasses.replace(training, batch=streams)
            batches = make_batches(ids, settings, subject="noise")
            network = make_network(model, vocabulary_size)
            trainers.append(Trainer(network, batches, settings, machine))
            opened.callback(trainers[-1].close)
        for _ in range(1 + WHOLE_STEPS):
            for trainer in trainers:
                begun = time.perf_counter()
                trainer.step(0.0)
                seconds.append(time.perf_counter() - begun)
    # The first steps compile and allocate.
    count = len(counts)
    return [median(seconds[count + place :: count]) for place in range(count)]


def _step_seconds(timer: Timer, engine: Engine, rounds: int) -> float:
    """Returns the seconds of the fastest whole step in some rounds."""
    timer(engine)  # the first call makes short steps
    return min(timer(engine) for _ in range(rounds))


def fastest_engine(
    engines: Sequence[Engine],
    timer: Timer,
    clock: Callable[[], float] = time.perf_counter,
    *,
    budget: float = BUDGET,
) -> Engine:
    """Returns the fastest engine; one with more threads must be `MIN_SPEEDUP` times as fast."""
    return fastest(
        engines,
        timer,
        lambda engine: engine.threads,
        rounds=ROUNDS,
        min_speedup=MIN_SPEEDUP,
        prune_ratio=PRUNE_RATIO,
        budget=budget,
        clock=clock,
    )


class StepTimer:
    """Times steps of a network of the given shape, on random characters.

    Timed steps are as long as the training's steps. Part of a step's work does not depend on its
    length: packing and dropping weights, and adding up the gradients of several threads. On short
    steps that part would dominate.
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
        self._network = make_network(model, vocabulary_size).to(device)
        self._scoring = training.scoring
        ids = torch.randint(vocabulary_size, (training.sequence + 1, training.batch)).to(device)
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
        """Makes some steps and returns the seconds of the fastest; short ones in the first call."""
        is_first = engine not in self._workers
        self._prepare(engine)
        short = min(len(self._inputs), WARM_UP_SEQUENCE)
        seconds = [self._step(engine, short) for _ in range(WARM_UP_STEPS)]
        if not is_first:
            seconds = [self._step(engine, len(self._inputs)) for _ in range(TIMED_STEPS)]
        return min(seconds)

    def result(self, engine: Engine) -> StepResult:
        """Returns what a whole step computes with an engine in float32, without dropout."""
        workers = self._prepare(engine)
        loss, _ = workers.compute(self._inputs, self._targets, self._state, None)
        gradients = [weight.grad for weight in self._network.parameters()]
        norms = [float(gradient.norm()) for gradient in gradients if gradient is not None]
        return StepResult(loss=loss.item(), gradient_norm=math.hypot(*norms))

    def _prepare(self, engine: Engine) -> GradientWorkers:
        """Prepares this thread for an engine; returns its workers, which the first call makes."""
        if engine not in self._workers:
            machine = Machine(device=self._device, engine=engine)
            workers = GradientWorkers(self._network, machine, self._scoring)
            self._workers[engine] = self._open_pools.enter_context(closing(workers))
        prepare_thread(engine.threads_per_shard)
        return self._workers[engine]

    def _step(self, engine: Engine, length: int) -> float:
        began = time.perf_counter()
        targets = self._targets[:length] if self._scoring == "every" else self._targets
        loss, _ = self._workers[engine].compute(
            self._inputs[:length], targets, self._state, self._masks
        )
        loss.item()  # waits for a device that computes asynchronously
        return time.perf_counter() - began
