"""Gradients by one thread, by two, and with what is dropped."""

from __future__ import annotations

from contextlib import closing

import pytest
import torch
from torch import Tensor

from model.compute.device import Machine
from model.compute.engine import Engine, LayerKind
from model.config import ModelConfig, ScoringMode, TrainingConfig
from model.network.character_network import State
from model.network.dropout import DropoutMasks, draw_masks
from model.network.lstm import CharacterLSTM
from model.training.gradients import GradientWorkers

MODEL = ModelConfig(hidden=12, layers=2, embedding=5, dropout=0.4)
TRAINING = TrainingConfig(embedding_dropout=0.3, weight_dropout=0.3)
VOCABULARY_SIZE = 11
CPU = torch.device("cpu")


def make_network() -> CharacterLSTM:
    torch.manual_seed(0)
    return CharacterLSTM(MODEL, VOCABULARY_SIZE)


def compute(
    engine: Engine,
    batch: int,
    *,
    scoring: ScoringMode = "every",
    dropping: bool = True,
    soft_targets: Tensor | None = None,
) -> tuple[float, State, list[Tensor]]:
    network = make_network()
    torch.manual_seed(1)
    ids = torch.randint(VOCABULARY_SIZE, (9, batch))
    state = (torch.randn(2, batch, 12), torch.randn(2, batch, 12))
    masks = draw_masks(MODEL, TRAINING, batch=batch, width=5, device=CPU) if dropping else None
    hard = ids[1:] if scoring == "every" else ids[-1]
    targets = hard if soft_targets is None else soft_targets
    with closing(GradientWorkers(network, Machine(device=CPU, engine=engine), scoring)) as workers:
        loss, after = workers.compute(ids[:-1], targets, state, masks)
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    assert len(gradients) == len(list(network.parameters()))
    return float(loss), after, gradients


@pytest.mark.parametrize("scoring", ["every", "last"])
@pytest.mark.parametrize("kind", ["torch", "sequence"])
@pytest.mark.parametrize("batch", [1, 5, 8])
def test_several_threads_find_what_one_finds(
    scoring: ScoringMode, kind: LayerKind, batch: int
) -> None:
    one = compute(Engine(precision="fp32"), batch, scoring=scoring)
    more = compute(Engine(precision="fp32", layer=kind, batch_shards=3), batch, scoring=scoring)
    assert more[0] == pytest.approx(one[0], rel=1e-5)
    for mine, other in zip((*more[1], *more[2]), (*one[1], *one[2]), strict=True):
        assert torch.allclose(mine, other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("scoring", ["every", "last"])
@pytest.mark.parametrize("kind", ["torch", "sequence"])
def test_the_loss_compares_with_soft_targets(scoring: ScoringMode, kind: LayerKind) -> None:
    engine = Engine(precision="fp32", layer=kind, batch_shards=3)
    shape = (8, 5, VOCABULARY_SIZE) if scoring == "every" else (5, VOCABULARY_SIZE)
    even = torch.full(shape, 1 / VOCABULARY_SIZE)
    random = torch.rand(shape, generator=torch.Generator().manual_seed(3)).softmax(-1)
    found = {
        name: compute(engine, 5, scoring=scoring, dropping=False, soft_targets=soft)
        for name, soft in {"even": even, "random": random, "mean": (even + random) / 2}.items()
    }
    # A cross-entropy is linear in the probabilities that it compares with.
    mean = (found["even"][0] + found["random"][0]) / 2
    assert found["mean"][0] == pytest.approx(mean, rel=1e-5)
    for parts in zip(*(found[name][2] for name in ("even", "random", "mean")), strict=True):
        assert torch.allclose((parts[0] + parts[1]) / 2, parts[2], atol=1e-6)
    alone = compute(engine, 5, scoring=scoring, dropping=False)
    hard = compute(Engine(precision="fp32"), 5, scoring=scoring, dropping=False)
    assert alone[0] == pytest.approx(hard[0], rel=1e-5)
    assert found["even"][0] != pytest.approx(alone[0])


def test_threads_share_the_memory_of_the_weights_and_no_tensor() -> None:
    """Where they counted references to the same ones, a training once died in that counting."""
    engine = Engine(precision="fp32", batch_shards=3)
    with closing(GradientWorkers(make_network(), Machine(device=CPU, engine=engine), "every")) as w:
        networks = [list(network.parameters()) for network in w._networks]
    assert len(networks) == 3
    for same in zip(*networks, strict=True):
        assert len({id(weight) for weight in same}) == 3
        assert len({weight.data_ptr() for weight in same}) == 1


def test_threads_change_nothing_from_one_time_to_the_next() -> None:
    engine = Engine(precision="fp32", layer="sequence", batch_shards=2)
    first, again = compute(engine, 7), compute(engine, 7)
    assert first[0] == again[0]
    assert all(torch.equal(a, b) for a, b in zip(first[2], again[2], strict=True))


def test_what_is_dropped_changes_the_loss() -> None:
    engine = Engine(precision="fp32")
    assert compute(engine, 4)[0] != compute(engine, 4, dropping=False)[0]


def test_gradients_lie_in_memory_as_their_weights_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fused step of the optimiser reads both in the order of memory, whatever the strides."""
    _, _, usual = compute(Engine(precision="fp32"), 3)
    grad = torch.autograd.grad

    def turned(loss: Tensor, weights: list[Tensor]) -> list[Tensor]:
        return [part.T.contiguous().T if part.ndim == 2 else part for part in grad(loss, weights)]

    monkeypatch.setattr(torch.autograd, "grad", turned)
    _, _, found = compute(Engine(precision="fp32"), 3)
    for expected, gradient in zip(usual, found, strict=True):
        assert torch.equal(gradient, expected)
        assert gradient.is_contiguous()


# --- masks ----------------------------------------------------------------------------------------


def masks_of(batch: int = 400) -> DropoutMasks:
    torch.manual_seed(2)
    masks = draw_masks(MODEL, TRAINING, batch=batch, width=5, device=CPU)
    assert masks is not None
    return masks


def test_masks_drop_the_asked_share_and_keep_the_mean() -> None:
    masks = masks_of()
    assert masks.inputs is not None
    for mask, chance, shape in (
        (masks.inputs, 0.3, (400, 5)),
        (masks.outputs[1], 0.4, (400, 12)),
        (masks.recurrent[0], 0.3, (48, 12)),
    ):
        assert mask is not None
        assert mask.shape == shape
        kept = mask[mask > 0]
        expected = torch.full_like(kept, 1 / (1 - chance))
        assert torch.allclose(kept, expected, rtol=1e-4)  # a chance has 16 bits
        assert float((mask == 0).float().mean()) == pytest.approx(chance, abs=0.08)


def test_streams_drop_different_units_and_share_the_matrices() -> None:
    masks = masks_of(8)
    part = masks.of_streams(slice(2, 5))
    assert part.inputs is not None
    assert masks.inputs is not None
    assert torch.equal(part.inputs, masks.inputs[2:5])
    assert part.recurrent is masks.recurrent
    assert masks.outputs[0] is not None
    assert len(torch.unique(masks.outputs[0], dim=0)) > 1


def test_nothing_to_drop_draws_nothing() -> None:
    before = torch.get_rng_state()
    plain = ModelConfig(hidden=4)
    assert draw_masks(plain, TrainingConfig(), batch=2, width=3, device=CPU) is None
    assert torch.equal(torch.get_rng_state(), before)
