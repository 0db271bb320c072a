"""A step in one call of compiled code finds what PyTorch's autograd finds."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.compute.device import Machine
from model.compute.engine import Engine
from model.config import ModelConfig, TrainingConfig
from model.kernels.cpu import SIMD
from model.kernels.jit import inline
from model.kernels.train_step import train_step
from model.kernels.vecmath import exp
from model.network import compiled_step
from model.network.character_network import CharacterNetwork, State
from model.network.compiled_step import CompiledStep
from model.network.dropout import draw_masks
from model.network.make import make_network
from model.training.gradients import GradientWorkers

CPU = torch.device("cpu")
AUTOGRAD = Engine(precision="fp32")


SHARE = {"fp32": 2e-5, "bf16": 0.015}
"""Relative difference that rounding makes. Normalised gates are rounded before and after."""


@pytest.fixture(params=["lstm", "rms-lstm"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["fp32", "bf16"])
def precision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def compiled(precision: str, batch_shards: int = 1) -> Engine:
    return Engine(precision=precision, layer="step", batch_shards=batch_shards)


def compute(
    model: ModelConfig,
    engine: Engine,
    *,
    symbols: int = 11,
    batch: int = 8,
    steps: int = 9,
    weight_dropout: float = 0.0,
    embedding_dropout: float = 0.0,
    spoil: bool = False,
    taught: bool = False,
) -> tuple[Tensor, State, dict[str, Tensor]]:
    """Returns loss, state and gradients of a step from a warm state."""
    torch.manual_seed(0)
    network = make_network(model, symbols)
    if spoil:
        with torch.no_grad():
            network.head.weight[1, 1] = torch.nan
    ids = torch.randint(symbols, (steps + 1, batch))
    state = (torch.randn(1, batch, model.hidden), torch.randn(1, batch, model.hidden))
    training = TrainingConfig(weight_dropout=weight_dropout, embedding_dropout=embedding_dropout)
    masks = draw_masks(model, training, batch=batch, width=network.input_width, device=CPU)
    with closing(GradientWorkers(network, Machine(device=CPU, engine=engine), "every")) as workers:
        targets = torch.rand(steps, batch, symbols).softmax(-1) if taught else ids[1:]
        loss, after = workers.compute(ids[:-1], targets, state, masks)
    named = network.named_parameters()
    return loss, after, {name: value.grad for name, value in named if value.grad is not None}


def assert_same(
    ours: tuple[Tensor, State, dict[str, Tensor]],
    theirs: tuple[Tensor, State, dict[str, Tensor]],
    *,
    share: float,
) -> None:
    """Compares as norms: a bfloat16 has eight bits, and what nearly cancels out has fewer."""
    assert float(ours[0]) == pytest.approx(float(theirs[0]), rel=share)
    pairs = [*zip(ours[1], theirs[1], strict=True)]
    assert ours[2].keys() == theirs[2].keys()
    pairs += [(ours[2][name], theirs[2][name]) for name in ours[2]]
    for mine, other in pairs:
        assert mine.shape == other.shape
        assert float((mine - other).norm()) <= share * (float(other.norm()) + 0.02)


@pytest.mark.parametrize("hidden", [1, 7, 34, 128])
@pytest.mark.parametrize("symbols", [2, 57])
@pytest.mark.parametrize("embedding", [0, 6])
def test_it_is_the_gradient(
    hidden: int, symbols: int, embedding: int, precision: str, kind: str
) -> None:
    model = ModelConfig(network=kind, hidden=hidden, embedding=embedding)
    expected = compute(model, AUTOGRAD, symbols=symbols)
    assert_same(
        compute(model, compiled(precision), symbols=symbols), expected, share=SHARE[precision]
    )


@pytest.mark.parametrize("batch_shards", [1, 3])
def test_a_student_learns_from_soft_targets_too(
    batch_shards: int, precision: str, kind: str
) -> None:
    model = ModelConfig(network=kind, hidden=24, embedding=6)
    expected = compute(model, AUTOGRAD, batch=7, taught=True)
    ours = compute(model, compiled(precision, batch_shards), batch=7, taught=True)
    assert_same(ours, expected, share=SHARE[precision])
    assert float(expected[0]) != pytest.approx(float(compute(model, AUTOGRAD, batch=7)[0]))


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (1, 9), (3, 5), (5, 4), (16, 3)])
def test_any_number_of_streams_and_time_steps_will_do(
    batch: int, steps: int, precision: str, kind: str
) -> None:
    model = ModelConfig(network=kind, hidden=24, embedding=6)
    expected = compute(model, AUTOGRAD, batch=batch, steps=steps)
    assert_same(
        compute(model, compiled(precision), batch=batch, steps=steps),
        expected,
        share=SHARE[precision],
    )


@pytest.mark.parametrize(
    ("outputs", "weights", "embeddings"),
    [(0.4, 0.0, 0.0), (0.0, 0.3, 0.0), (0.0, 0.0, 0.3), (0.4, 0.3, 0.3)],
)
@pytest.mark.parametrize("batch_shards", [1, 2])
def test_what_is_dropped_is_dropped_on_the_way_back_too(
    outputs: float, weights: float, embeddings: float, batch_shards: int, precision: str, kind: str
) -> None:
    model = ModelConfig(network=kind, hidden=48, embedding=5, dropout=outputs)
    found, expected = (
        compute(model, engine, batch=7, weight_dropout=weights, embedding_dropout=embeddings)
        for engine in (compiled(precision, batch_shards), AUTOGRAD)
    )
    assert_same(found, expected, share=SHARE[precision])


@pytest.mark.parametrize("batch_shards", [2, 3])
def test_threads_with_streams_of_their_own_find_what_one_finds(
    batch_shards: int, precision: str, kind: str
) -> None:
    model = ModelConfig(network=kind, hidden=48, embedding=6, dropout=0.4)
    assert_same(
        compute(model, compiled(precision, batch_shards)),
        compute(model, compiled(precision)),
        share=1e-4,
    )
    first, again = (compute(model, compiled(precision, batch_shards)) for _ in range(2))
    assert_same(first, again, share=0.0)


@pytest.mark.parametrize("failing", [0, 1])
def test_no_shard_waits_for_one_that_has_failed(
    failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        @staticmethod
        def run(shard: int, *others: object) -> None:
            if shard == failing:
                raise ZeroDivisionError
            train_step.run(shard, *others)

    def fail_from_now_on(
        network: CharacterNetwork, gradients: list[Tensor], products: torch.dtype
    ) -> CompiledStep:
        step = CompiledStep(network, gradients, products)
        monkeypatch.setattr(compiled_step, "train_step", Failing)
        return step

    monkeypatch.setattr("model.network.compiled_step.CompiledStep", fail_from_now_on)
    with pytest.raises(ZeroDivisionError):
        compute(ModelConfig(hidden=24, embedding=6), compiled("fp32", 2))


def test_what_is_not_a_number_shows_in_the_loss(precision: str, kind: str) -> None:
    loss, _, _ = compute(
        ModelConfig(network=kind, hidden=24, embedding=6), compiled(precision), spoil=True
    )
    assert bool(loss.isnan())


@inline
def exp_of(x: np.float32) -> np.float32:
    return exp(x)  # type: ignore[no-any-return]


@given(st.floats(-86, 0, width=32))
def test_the_exponential_function_is_right(x: float) -> None:
    # Without fused operations x less a multiple of log(2) is rounded once more.
    share = 5e-6 if SIMD == "sse2" else 3e-6
    assert exp_of(np.float32(x)) == pytest.approx(np.exp(x), rel=share, abs=0)


def test_the_exponential_function_of_what_is_not_a_number_is_none() -> None:
    assert np.isnan(exp_of(np.float32(np.nan)))
    assert exp_of(np.float32(-1e30)) < 1e-37


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_step_in_used_memory_finds_what_one_in_new_memory_finds(
    dropout: float, precision: str, kind: str
) -> None:
    network = make_network(ModelConfig(network=kind, hidden=24, embedding=6), 11)
    machine = Machine.on(CPU, compiled(precision, batch_shards=2))
    training = TrainingConfig(embedding_dropout=dropout)

    def gradients(workers: GradientWorkers, batch: int, seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        ids = torch.randint(11, (10, batch))
        masks = draw_masks(
            network.config, training, batch=batch, width=network.input_width, device=CPU
        )
        workers.compute(ids[:-1], ids[1:], network.initial_state(batch), masks)
        return [
            parameter.grad.clone()
            for parameter in network.parameters()
            if parameter.grad is not None
        ]

    def memory(workers: GradientWorkers) -> set[int]:
        assert workers._step is not None
        return {id(workspace) for workspace in workers._step._workspaces.values()}

    with (
        closing(GradientWorkers(network, machine, "every")) as used,
        closing(GradientWorkers(network, machine, "every")) as new,
    ):
        gradients(used, 7, seed=1)  # shards of three and of four streams
        before = memory(used)
        found = gradients(used, 7, seed=2)
        assert memory(used) == before
        for own, expected in zip(found, gradients(new, 7, seed=2), strict=True):
            assert torch.equal(own, expected)
        gradients(used, 4, seed=3)
        assert memory(used) > before
