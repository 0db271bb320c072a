"""The choice of a way to compute: what is open, what wins, what stays as it was."""

from __future__ import annotations

import dataclasses
import itertools
import math
import sys
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from network_fixtures import sharing_products

from corpus import Vocabulary
from model.compute.device import Machine
from model.compute.engine import Engine
from model.compute.mps_choice import StepResult
from model.config import ModelConfig, Precision, TrainingConfig
from model.distributed.rank import ProcessRank
from model.training import autotune
from model.training import engines as engine_list
from model.training.autotune import (
    WARM_UP_SEQUENCE,
    StepTimer,
    choose_machine,
    fastest_engine,
    retune,
    retune_times,
)
from model.training.engines import possible_engines
from model.training.gradients import GradientWorkers
from model.training.trainer import Trainer

CPU = torch.device("cpu")
MODEL = ModelConfig(hidden=8, embedding=4)
OPEN = TrainingConfig(batch=4, sequence=8, device="cpu")


@pytest.fixture(params=[True, False], ids=["bf16", "no bf16"])
def native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    has_it = bool(request.param)
    monkeypatch.setattr(engine_list, "supports_bfloat16", lambda device: has_it)
    monkeypatch.setattr(engine_list, "HAS_AMX", False)
    monkeypatch.setattr(engine_list, "usable_cores", lambda: 2)
    return has_it


def test_everything_is_open_by_default(native: bool) -> None:
    engines = possible_engines(OPEN, CPU)
    assert {engine.batch_shards for engine in engines} == {1, 2}
    assert {engine.precision for engine in engines} == ({"bf16", "fp32"} if native else {"fp32"})
    assert {engine.layer for engine in engines} == {"torch", "sequence"}
    assert len(set(engines)) == len(engines)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(("precision", "threads"), [("fp32", 1), ("bf16", 2)])
def test_what_was_asked_for_is_not_measured(
    precision: Precision, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = dataclasses.replace(OPEN, precision=precision, threads=threads)
    expected = Engine(precision=precision, layer="sequence", batch_shards=threads)
    assert possible_engines(asked, CPU) == [expected]
    step = dataclasses.replace(expected, layer="step")
    assert possible_engines(asked, CPU, model=MODEL) == [step]
    monkeypatch.setattr(engine_list, "can_compile", lambda: False)
    assert possible_engines(asked, CPU) == [Engine(precision=precision, batch_shards=threads)]


def test_pytorch_is_measured_in_float32_and_compiled_code_in_one_precision(native: bool) -> None:
    for model in (None, MODEL):
        engines = possible_engines(OPEN, CPU, model=model)
        assert Engine(precision="fp32", batch_shards=2) in engines
        compiled = {engine.precision for engine in engines if engine.layer != "torch"}
        assert compiled == {"bf16" if native else "fp32"}


def test_a_step_is_one_call_where_the_network_allows(native: bool) -> None:
    def is_offered(training: TrainingConfig = OPEN, **shape: Any) -> bool:
        model = dataclasses.replace(MODEL, **shape)
        engines = possible_engines(training, CPU, model=model)
        precision = "bf16" if native else "fp32"
        return Engine(precision=precision, layer="step", batch_shards=2) in engines

    assert is_offered()
    assert is_offered(hidden=7)
    assert not is_offered(layers=2)
    dropping = dataclasses.replace(OPEN, embedding_dropout=0.1)
    assert is_offered(dropping)
    assert is_offered(dropping, embedding=3)
    assert not is_offered(dropping, embedding=0)
    assert not is_offered(dataclasses.replace(OPEN, scoring="last"))
    for layer in ("step", "sequence", "torch"):
        assert engine_list.can_compute(Engine(precision="bf16", layer=layer))


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("unit", [True, False])
def test_layer_by_layer_is_measured_beside_one_call_for_amx_alone(
    unit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_list, "HAS_AMX", unit)
    layers = {engine.layer for engine in possible_engines(OPEN, CPU, model=MODEL)}
    assert ("sequence" in layers) == unit
    two = dataclasses.replace(MODEL, layers=2)
    shared = [e for e in possible_engines(OPEN, CPU, model=two) if e.threads_per_shard > 1]
    assert {engine.layer for engine in shared} == {"sequence"}


@pytest.mark.usefixtures("native")
def test_there_are_no_more_threads_than_streams() -> None:
    for asked in (0, 5):
        few = dataclasses.replace(OPEN, batch=1, threads=asked)
        assert {engine.threads for engine in possible_engines(few, CPU)} == {1}


def test_the_fastest_wins_and_the_first_round_does_not_count() -> None:
    engines = [Engine(precision="fp32"), Engine(precision="fp32", batch_shards=2)]
    seconds = {
        engines[0]: itertools.chain([0.1], itertools.repeat(3.0)),
        engines[1]: itertools.chain([9.0, 4.0], itertools.repeat(2.0)),
    }
    assert fastest_engine(engines, lambda engine: next(seconds[engine]), lambda: 0.0) == engines[1]


def test_a_single_quick_round_does_not_win() -> None:
    engines = [Engine(precision="fp32"), Engine(precision="bf16")]
    seconds = {
        engines[0]: itertools.repeat(3.0),
        engines[1]: itertools.chain([3.5, 3.5, 2.2], itertools.repeat(3.5)),
    }
    assert fastest_engine(engines, lambda engine: next(seconds[engine]), lambda: 0.0) == engines[0]


def test_more_threads_must_be_worth_a_core() -> None:
    engines = [Engine(precision="fp32", batch_shards=count) for count in (1, 2)]
    for two, chosen in ((0.9, engines[0]), (0.6, engines[1])):
        seconds = dict(zip(engines, (1.0, two), strict=True))
        assert fastest_engine(engines, seconds.__getitem__, lambda: 0.0) == chosen


def test_what_is_far_behind_is_not_measured_again() -> None:
    engines = [Engine(precision="fp32", batch_shards=count) for count in (1, 2, 3)]
    seconds = dict(zip(engines, (1.0, 1.2, 5.0), strict=True))
    calls: list[Engine] = []

    def timer(engine: Engine) -> float:
        calls.append(engine)
        return seconds[engine]

    assert fastest_engine(engines, timer, lambda: 0.0) == engines[0]
    assert calls.count(engines[2]) == 2
    assert calls.count(engines[1]) > 2


def test_whole_steps_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    real = GradientWorkers.compute

    def compute(workers: GradientWorkers, inputs: torch.Tensor, *rest: Any) -> Any:
        lengths.append(len(inputs))
        return real(workers, inputs, *rest)

    monkeypatch.setattr(GradientWorkers, "compute", compute)
    choose_machine(dataclasses.replace(OPEN, sequence=40), MODEL, 9)
    first, last = lengths[0], lengths[-1]
    assert (first, last) == (WARM_UP_SEQUENCE, 40)


def test_measuring_leaves_the_threads_of_others_alone() -> None:
    """The rows of `bench` beside ours, for instance."""
    with sharing_products(3):
        choose_machine(OPEN, MODEL, 9)
        assert torch.get_num_threads() == 3


def test_where_time_is_short_one_round_decides() -> None:
    engines = [Engine(precision="fp32"), Engine(precision="fp32", batch_shards=2)]
    calls: list[Engine] = []

    def timer(engine: Engine) -> float:
        calls.append(engine)
        return 1.0

    moments = iter([0.0, 99.0])
    assert fastest_engine(engines, timer, lambda: next(moments)) == engines[0]
    assert calls == engines * 2


def look(
    monkeypatch: pytest.MonkeyPatch,
    before: Machine,
    seconds: dict[Engine, float],
    training: TrainingConfig = OPEN,
) -> Machine:
    """Returns what a second look finds in a training."""

    class Timer:
        def __init__(self, *_: object) -> None:
            self._warm: set[Engine] = set()

        def __call__(self, engine: Engine) -> float:
            is_warm = engine in self._warm
            self._warm.add(engine)
            return seconds.get(engine, 9.9) if is_warm else 1e-9

    monkeypatch.setattr("model.training.autotune.StepTimer", Timer)
    monkeypatch.setattr(engine_list, "usable_cores", lambda: 2)
    return retune(before, training, MODEL, 9, 60.0)


def test_a_second_look_changes_the_engine_only_for_a_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = Engine(precision="fp32"), Engine(precision="fp32", batch_shards=2)
    with_one, with_two = Machine.on(CPU, one), Machine.on(CPU, two)
    assert look(monkeypatch, with_one, {one: 1.0, two: 0.6}) == with_two
    assert look(monkeypatch, with_one, {one: 1.0, two: 0.95}) is with_one
    assert look(monkeypatch, with_one, {one: 0.5, two: 1.0}) is with_one
    # That it is as quick with fewer threads now is no reason.
    assert look(monkeypatch, with_two, {one: 1.0, two: 0.95}) is with_two


def test_a_given_number_of_threads_leaves_other_engines_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_list, "supports_bfloat16", lambda device: False)
    asked = dataclasses.replace(OPEN, threads=1)
    one, other = possible_engines(asked, CPU, model=MODEL)
    assert look(monkeypatch, Machine.on(CPU, one), {one: 1.0, other: 0.6}, asked).engine == other
    assert look(monkeypatch, Machine.on(CPU, other), {one: 1.0, other: 0.6}, asked).engine == other


def test_what_was_asked_for_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.training.autotune.StepTimer", None)  # to time would fail
    for threads in (1, 2):
        asked = dataclasses.replace(OPEN, precision="fp32", threads=threads)
        (engine,) = possible_engines(asked, CPU, model=MODEL)
        before = Machine.on(CPU, engine)
        assert retune(before, asked, MODEL, 9, 60.0) is before


@pytest.mark.parametrize(
    ("minutes", "looks"),
    [(None, [60, 300, 1500, 7500]), (60, [60, 300]), (25, [60, 300]), (5, [60]), (4.9, [])],
)
def test_short_trainings_are_not_looked_at_again(minutes: float | None, looks: list[float]) -> None:
    assert retune_times(dataclasses.replace(OPEN, minutes=minutes)) == looks


def test_a_resumed_run_keeps_its_engine() -> None:
    for used in possible_engines(OPEN, CPU):
        chosen = choose_machine(OPEN, MODEL, 9, used_before=used)
        assert chosen == Machine(device=CPU, engine=used)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_resumed_run_keeps_an_engine_that_a_new_run_would_not_use(threads: int) -> None:
    asked = dataclasses.replace(OPEN, precision="fp32", threads=threads)
    used = Engine(precision="fp32", batch_shards=threads)
    assert used not in possible_engines(asked, CPU, model=MODEL)
    assert choose_machine(asked, MODEL, 9, used_before=used).engine == used


def test_an_engine_of_another_machine_is_chosen_anew() -> None:
    elsewhere = Engine(precision="bf16", batch_shards=999)
    assert choose_machine(OPEN, MODEL, 9, used_before=elsewhere).engine != elsewhere


def test_measuring_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    dropping = dataclasses.replace(OPEN, weight_dropout=0.2)
    assert choose_machine(dropping, MODEL, 9).engine in possible_engines(OPEN, CPU, model=MODEL)
    assert torch.equal(torch.get_rng_state(), before)


# --- Apple's MPS, which no machine of ours has ------------------------------------------------


MPS = torch.device("mps")
AUTO = dataclasses.replace(OPEN, device="auto", precision="fp32")
ON_MPS = possible_engines(AUTO, MPS)[0]
RESULT = StepResult(loss=2.0, gradient_norm=0.1)


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretends that PyTorch offers MPS and no CUDA."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)


class Steps:
    """Takes the place of `StepTimer`: seconds and result of a step on each kind of device."""

    seconds: dict[str, float]
    results: dict[str, StepResult]

    def __init__(self, _: object, __: object, ___: object, device: torch.device, *____: object):
        self._kind = device.type

    def __call__(self, engine: Engine) -> float:
        return self.seconds[self._kind]

    def result(self, engine: Engine) -> StepResult:
        assert engine.precision == "fp32"
        return self.results[self._kind]


def steps_take(
    monkeypatch: pytest.MonkeyPatch, *, cpu: float, mps: float, on_mps: StepResult = RESULT
) -> None:
    monkeypatch.setattr(Steps, "seconds", {"cpu": cpu, "mps": mps}, raising=False)
    monkeypatch.setattr(Steps, "results", {"cpu": RESULT, "mps": on_mps}, raising=False)
    monkeypatch.setattr("model.training.autotune.StepTimer", Steps)


@pytest.mark.usefixtures("apple")
def test_mps_must_be_faster_and_right(monkeypatch: pytest.MonkeyPatch) -> None:
    steps_take(monkeypatch, cpu=2.0, mps=1.0)
    chosen = choose_machine(AUTO, MODEL, 9)
    assert (chosen, chosen.notes) == (Machine.on(MPS, ON_MPS), ())
    steps_take(monkeypatch, cpu=1.0, mps=2.0)
    chosen = choose_machine(AUTO, MODEL, 9)
    assert (chosen.device, chosen.notes) == (CPU, ())
    steps_take(monkeypatch, cpu=2.0, mps=1.0, on_mps=StepResult(loss=2.0, gradient_norm=0.2))
    chosen = choose_machine(AUTO, MODEL, 9)
    assert chosen.device == CPU
    assert "MPS computes a step wrongly" in "".join(chosen.notes)


@pytest.mark.usefixtures("apple")
def test_mps_that_was_asked_for_is_neither_timed_nor_doubted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("model.training.autotune.StepTimer", None)  # to time would fail
    asked = dataclasses.replace(AUTO, device="mps")
    assert choose_machine(asked, MODEL, 9) == Machine.on(MPS, ON_MPS)


@pytest.mark.usefixtures("apple")
def test_several_processes_and_an_exact_resume_keep_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps_take(monkeypatch, cpu=2.0, mps=1.0)
    together = ProcessRank(rank=0, size=2, local_rank=0, local_size=2)
    assert choose_machine(AUTO, MODEL, 9, place=together).device == CPU
    monkeypatch.setattr(engine_list, "usable_cores", lambda: 2)
    used = Engine(precision="fp32", batch_shards=2)
    assert choose_machine(AUTO, MODEL, 9, used_before=used) == Machine.on(CPU, used)
    assert choose_machine(AUTO, MODEL, 9, used_before=ON_MPS).device == MPS


@pytest.mark.usefixtures("apple")
@pytest.mark.skipif(sys.platform == "darwin", reason="PyTorch has MPS")
def test_a_device_that_cannot_compute_leaves_the_cpu() -> None:
    chosen = choose_machine(AUTO, MODEL, 9)
    assert chosen.device == CPU
    (note,) = chosen.notes
    assert note.startswith("the CPU trains, because a step on MPS failed (")
    assert "\n" not in note


@pytest.mark.parametrize("scoring", ["every", "last"])
def test_a_trial_step_computes_the_same_again(scoring: Any) -> None:
    """The comparison starts from the same weights and characters on each device."""
    training = dataclasses.replace(OPEN, scoring=scoring, weight_dropout=0.2)
    results = []
    for engine in (Engine(precision="fp32"), Engine(precision="fp32", layer="torch")):
        torch.manual_seed(0)
        with ExitStack() as pools:
            results.append(StepTimer(training, MODEL, 9, CPU, pools).result(engine))
    assert results[0].is_close_to(results[1])
    assert results[0].loss == pytest.approx(math.log(9), rel=0.2)
    assert results[0].gradient_norm > 0


class FakeTimer:
    """Steps take the square root of their streams; the first call makes short ones."""

    def __init__(self, training: TrainingConfig, *_: Any) -> None:
        self._streams = training.batch
        self._called: set[Engine] = set()

    def __call__(self, engine: Engine) -> float:
        is_first = engine not in self._called
        self._called.add(engine)
        return 1e-9 if is_first else 0.01 * self._streams**0.5


def test_a_timed_step_is_a_whole_one() -> None:
    seconds = autotune._step_seconds(FakeTimer(OPEN), Engine(precision="fp32"), 2)
    assert seconds == pytest.approx(0.01 * OPEN.batch**0.5)


@pytest.mark.parametrize("threads", [0, 1])
def test_speeds_are_those_of_steps_with_update(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autotune, "StepTimer", FakeTimer)
    monkeypatch.setattr(autotune, "_whole_steps", lambda *_: (0.02, 0.03))
    usual = TrainingConfig()
    training = dataclasses.replace(usual, device="cpu", threads=threads, precision="fp32")
    speed = autotune.measure_speed(training, Vocabulary.from_symbols("abc"))
    rate = usual.batch * usual.sequence / 0.02
    assert list(speed.rates.values()) == pytest.approx([rate] * len(speed.rates))
    # Between sizes further apart the speed is not what interpolation says.
    assert all(above <= 2 * below for below, above in itertools.pairwise(speed.rates))
    assert speed.doubled_batch == pytest.approx(4 / 3)
    assert speed.network == "rms-lstm"
    asked = autotune.measure_speed(training, Vocabulary.from_symbols("abc"), network="gru")
    assert asked.network == "gru"


def test_without_compiled_code_the_lstm_suits_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_list.suitable_network(CPU) == "rms-lstm"
    assert engine_list.suitable_network(torch.device("cuda")) == "lstm"
    monkeypatch.setattr(engine_list, "can_compile", lambda: False)
    assert engine_list.suitable_network(CPU) == "lstm"


def test_whole_steps_are_made_with_each_number_of_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    # The first steps compile, and a later one is quick by chance.
    more = itertools.chain([90.0, 90.0, 0.0, 0.0, 0.0, -3.0], itertools.repeat(0.0))

    def step(trainer: Trainer, _: float) -> None:
        nonlocal now
        now += 2.0 + 0.75 * trainer._training.batch + next(more)

    monkeypatch.setattr(Trainer, "step", step)
    monkeypatch.setattr("model.training.autotune.time.perf_counter", lambda: now)
    machine = Machine.on(CPU, Engine(precision="fp32"))
    counts = (OPEN.batch, 2 * OPEN.batch)
    assert autotune._whole_steps(machine, OPEN, MODEL, 5, counts) == pytest.approx([5.0, 8.0])
