"""Our LSTM layer: its gradients against numbers, and all of it against ``nn.LSTM``."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from model.compute.engine import LayerKind
from model.config import NORM_EPSILON, ModelConfig
from model.network.character_network import State
from model.network.compiled_layer import compiled_layer
from model.network.lstm import CharacterLSTM, NormalisedLSTM


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def by_definition(
    gate_inputs: Tensor,
    ids: Tensor | None,
    biases: tuple[Tensor, Tensor],
    gain: Tensor | None,
    recurrent: Tensor,
    state: tuple[Tensor, Tensor],
) -> tuple[Tensor, ...]:
    """Returns outputs and state of the layer, one operation of PyTorch after the other."""
    hidden, cell = state
    outputs = []
    for inputs in gate_inputs if ids is None else gate_inputs[ids]:
        sums = inputs + hidden @ recurrent.t()
        if gain is not None:
            sums = gain * sums / (sums.square().mean(dim=1, keepdim=True) + NORM_EPSILON).sqrt()
        i, f, g, o = (sums + sum(biases)).chunk(4, dim=1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        outputs.append(hidden)
    return torch.stack(outputs), hidden, cell


@pytest.mark.parametrize("symbols", [None, 4])
@pytest.mark.parametrize(("width", "threads"), [(1, 1), (4, 1), (33, 1), (33, 2)])
@pytest.mark.parametrize("normalised", [False, True])
def test_the_gradients_are_those_of_the_function(
    symbols: int | None,
    width: int,
    threads: int,
    normalised: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("model.network.compiled_layer._threads_for", lambda _: threads)
    steps, batch = 5, 3
    ids = None if symbols is None else torch.arange(steps * batch).view(steps, batch) % symbols
    arguments = [
        draw(*((steps, batch) if symbols is None else (symbols,)), 4 * width),
        draw(4 * width, seed=4),
        draw(4 * width, seed=5),
        draw(4 * width, width, seed=1),
        draw(batch, width, seed=2),
        draw(batch, width, seed=3),
        *([draw(4 * width, seed=6)] if normalised else []),
    ]
    weights = [draw(*shape, seed=9) for shape in ((steps, batch, width), (batch, width))]

    def gradients(*, compiled: bool) -> list[Tensor]:
        exact = [argument.clone().requires_grad_() for argument in arguments]
        taken = [argument.float() for argument in exact] if compiled else exact
        inputs, inner, outer, recurrent, hidden, cell, *gains = taken
        both, gain, state = (inner, outer), gains[0] if gains else None, (hidden, cell)
        if compiled:
            outputs, after = compiled_layer(
                inputs, ids, both, gain, recurrent, state, torch.float32
            )
            results: tuple[Tensor, ...] = (outputs, *after)
        else:
            results = by_definition(inputs, ids, both, gain, recurrent, state)
        kinds = (weights[0], weights[1], weights[1])
        total = sum(
            (weight * result.double()).sum() for weight, result in zip(kinds, results, strict=True)
        )
        assert isinstance(total, Tensor)
        return list(torch.autograd.grad(total, exact))

    found, expected = gradients(compiled=True), gradients(compiled=False)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-5, rtol=1e-4)


def outcome(
    network: CharacterLSTM, kind: LayerKind, products: torch.dtype
) -> tuple[Tensor, State, list[Tensor]]:
    """Returns outputs, state and gradients of a sequence from a warm state."""
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(network.vocabulary_size, (12, 4), generator=generator)
    shape = (network.config.layers, 4, network.config.hidden)
    state = (torch.randn(shape, generator=generator), torch.randn(shape, generator=generator))
    with torch.autocast("cpu", products, enabled=products is torch.bfloat16):
        outputs, after = network.training_forward(ids, state, None, kind, products)
    weighting = torch.randn(outputs.shape, generator=generator)
    total = (outputs.float() * weighting).sum() + after[1].float().sum() + after[0].float().sum()
    inner = [weight for name, weight in network.named_parameters() if "head" not in name]
    return outputs, after, list(torch.autograd.grad(total, inner))


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("embedding", [0, 6])
@pytest.mark.parametrize("kind", [CharacterLSTM, NormalisedLSTM])
def test_our_layer_equals_pytorchs(layers: int, embedding: int, kind: type[CharacterLSTM]) -> None:
    torch.manual_seed(0)
    network = kind(ModelConfig(hidden=16, layers=layers, embedding=embedding), 9)
    ours = outcome(network, "sequence", torch.float32)
    theirs = outcome(network, "torch", torch.float32)
    assert torch.allclose(ours[0], theirs[0], atol=1e-5)
    for mine, other in zip(ours[1], theirs[1], strict=True):
        assert torch.allclose(mine, other, atol=1e-5)
    for mine, other in zip(ours[2], theirs[2], strict=True):
        assert torch.allclose(mine, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("embedding", [0, 6])
@pytest.mark.parametrize("kind", [CharacterLSTM, NormalisedLSTM])
def test_what_is_trained_is_what_is_used(embedding: int, kind: type[CharacterLSTM]) -> None:
    torch.manual_seed(0)
    network = kind(ModelConfig(hidden=16, layers=2, embedding=embedding), 9)
    ids = torch.arange(8).reshape(8, 1)
    for way in ("torch", "sequence"):
        outputs, _ = network.training_forward(
            ids, network.initial_state(1), None, way, torch.float32
        )
        assert torch.allclose(outputs, network(ids)[0], atol=1e-5)


def test_in_bfloat16_our_gradients_are_as_near_to_the_exact_ones_as_pytorchs() -> None:
    torch.manual_seed(0)
    network = CharacterLSTM(ModelConfig(hidden=64, layers=2), 40)
    exact = outcome(network, "torch", torch.float32)[2]

    def error(kind: LayerKind) -> float:
        rounded = outcome(network, kind, torch.bfloat16)[2]
        pairs = zip(rounded, exact, strict=True)
        return max(float((a - b).norm() / b.norm()) for a, b in pairs)

    assert error("sequence") < 0.02
    assert error("sequence") < 1.5 * error("torch") + 1e-3


def test_a_layer_of_one_unit_and_one_step_works() -> None:
    network = CharacterLSTM(ModelConfig(hidden=1, embedding=1), 2)
    state = network.initial_state(1)
    ids = torch.ones(1, 1, dtype=torch.int64)
    ours, _ = network.training_forward(ids, state, None, "sequence", torch.float32)
    assert torch.allclose(ours, nn.Module.__call__(network, ids)[0], atol=1e-6)


def test_numba_is_left_alone_where_our_layer_is_not_used() -> None:
    code = (
        "import sys; import model.session.live, model.training.training_run;"
        "print('numba' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
