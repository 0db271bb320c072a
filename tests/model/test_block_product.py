"""The block product of PyTorch's library, called by compiled code: right, and a good neighbour."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model import block_product as module
from model.block_product import block_product
from model.config import ModelConfig
from model.lstm_layer import State
from model.network import CharacterLSTM

needs_unit = pytest.mark.skipif(block_product() is None, reason="no matrix unit for bfloat16")


def packed(matrix: Tensor) -> Tensor:
    """Returns [K / 2, N, 2] of a [K, N]: the order that the matrix unit reads."""
    rows, columns = matrix.shape
    return matrix.reshape(rows // 2, 2, columns).transpose(1, 2).contiguous()


def product(left: Tensor, right: Tensor) -> Tensor:
    out = torch.full((len(left), right.shape[1]), torch.nan)
    bits = (left.view(torch.uint16).numpy(), packed(right).view(torch.uint16).numpy())
    module._one_product.run(block_product(), *bits, out.numpy())
    return out


def draw(rows: int, columns: int) -> Tensor:
    generator = torch.Generator().manual_seed(rows * 1000 + columns)
    return torch.randn(rows, columns, generator=generator).bfloat16()


@needs_unit
@given(st.integers(1, 40), st.integers(1, 60).map(lambda half: 2 * half), st.integers(1, 70))
@settings(deadline=None)
def test_it_is_the_product_of_the_rounded_matrices(m: int, k: int, n: int) -> None:
    left, right = draw(m, k), draw(k, n)
    expected = left.double() @ right.double()
    assert torch.allclose(product(left, right).double(), expected, atol=1e-4, rtol=1e-4)


@needs_unit
def test_products_of_pytorch_in_between_are_not_disturbed() -> None:
    left, right = draw(33, 128), draw(128, 96)
    expected = left.float() @ right.float()
    for _ in range(3):
        ours, theirs = product(left, right), torch.mm(left, right).float()
        assert torch.allclose(ours, expected, atol=1e-3)
        assert torch.allclose(theirs, expected, rtol=0.01, atol=0.2)


@needs_unit
def test_what_is_not_a_number_comes_through() -> None:
    left, right = draw(3, 8), draw(8, 16)
    left[1, 2] = torch.nan
    found = product(left, right)
    assert found[1].isnan().all()
    assert found[[0, 2]].isfinite().all()


def test_without_the_library_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PRODUCT", "a_function_that_no_library_has")
    assert module._found() is None
    monkeypatch.setattr("model.block_product.sys.platform", "win32")
    assert module._found() is None


def learned(network: CharacterLSTM) -> tuple[Tensor, State, list[Tensor]]:
    """Returns outputs, state and gradients of a sequence from a warm state, in bfloat16."""
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(network.vocabulary_size, (12, 5), generator=generator)
    shape = (network.config.layers, 5, network.config.hidden)
    state = (torch.randn(shape, generator=generator), torch.randn(shape, generator=generator))
    with torch.autocast("cpu", torch.bfloat16):
        outputs, after = network.training_forward(ids, state, None, "packed", torch.bfloat16)
    total = (outputs.float() ** 2).sum() + after[1].float().sum() + after[0].float().sum()
    inner = [weight for name, weight in network.named_parameters() if "head" not in name]
    return outputs, after, list(torch.autograd.grad(total, inner))


@needs_unit
@pytest.mark.parametrize("hidden", [1, 2, 7, 10, 64, 130])
def test_the_layer_is_the_same_with_and_without(
    hidden: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = CharacterLSTM(ModelConfig(hidden=hidden, layers=2, embedding=6), 9)
    ours, state, gradients = learned(network)
    monkeypatch.setattr("model.packed_layer.block_product", lambda: None)
    theirs, their_state, their_gradients = learned(network)
    assert torch.allclose(ours, theirs, atol=0.02)
    for one, other in zip(state, their_state, strict=True):
        assert torch.allclose(one.float(), other.float(), atol=0.04)
    for one, other in zip(gradients, their_gradients, strict=True):
        assert float((one - other).norm() / other.norm()) < 0.02


@needs_unit
@pytest.mark.parametrize("hidden", [2, 64, 130])
def test_threads_that_share_the_units_find_what_one_finds(hidden: int) -> None:
    torch.manual_seed(0)
    network = CharacterLSTM(ModelConfig(hidden=hidden, layers=2, embedding=6), 9)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            outputs, state, gradients = learned(network)
            found.append([outputs, *state, *gradients])
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            # What vectors leave over is computed one by one and rounds differently; now and then
            # that turns the last digit of a bfloat16.
            assert float((one - other).detach().norm()) <= 1e-5 * float(other.detach().norm())
