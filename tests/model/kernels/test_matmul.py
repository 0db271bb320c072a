"""Products of a training in bfloat16: right for every shape, by the unit and in pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_fixtures import draw_bfloat16
from torch import Tensor

from model.config import ModelConfig
from model.kernels.cpu import HAS_AMX, HAS_BFLOAT16
from model.kernels.dtypes import to_bfloat16
from model.kernels.matmul import matmul, matmul_tn
from model.kernels.packing import pack, pack_transposed, packed_size, transpose, transposed_size
from model.network.character_network import State
from model.network.lstm import CharacterLSTM

needs_pairs = pytest.mark.skipif(not HAS_BFLOAT16, reason="no products of pairs in this processor")

Array = npt.NDArray[Any]
SIZES = st.integers(1, 70) | st.sampled_from([32, 64, 96, 160])
EVEN = SIZES.filter(lambda size: size % 2 == 0)
UNTOUCHED = 0x7FC07FC0
"""Two NaN in bfloat16: what is not written must not be read."""


def room(size: int) -> Array:
    """Returns room for pairs that begins with a line of the cache, as PyTorch's tensors do."""
    pairs = torch.empty(size, dtype=torch.int32).numpy().view(np.uint32)
    pairs[:] = UNTOUCHED
    return pairs


def check(found: Array, left: Array, right: Array) -> None:
    expected = left.astype(np.float64) @ right.astype(np.float64)
    np.testing.assert_allclose(found, expected, atol=1e-5 * len(right))


@needs_pairs
@given(m=SIZES, n=SIZES, k=EVEN)
@settings(deadline=None)
def test_a_packed_matrix_is_multiplied(m: int, n: int, k: int) -> None:
    left, right = draw_bfloat16(m, k), draw_bfloat16(k, n)
    packed = [room(packed_size(n, k)) for _ in range(3)]
    pack_transposed(right, 0, n, packed[0])
    pack_transposed(to_bfloat16(right), 0, n, packed[1])
    for first, last in ((0, n // 32 * 16), (n // 32 * 16, n)):
        pack(right.T[first:last].copy(), first, n, packed[2])
    found = [np.full((m, n), np.nan, np.float32) for _ in packed]
    for one, out in zip(packed, found, strict=True):
        matmul(to_bfloat16(left), one, n, out)
    check(found[0], left, right)
    assert np.array_equal(found[1], found[0])
    assert np.array_equal(found[2], found[0])


@needs_pairs
@given(first=st.integers(0, 40), count=SIZES, more=st.integers(0, 40), pairs=st.integers(1, 20))
@settings(deadline=None)
def test_some_columns_are_packed(first: int, count: int, more: int, pairs: int) -> None:
    k = 2 * pairs
    whole = draw_bfloat16(k, first + count + more)
    left, packed = draw_bfloat16(3, k), room(packed_size(count, k))
    pack_transposed(whole, first, count, packed)
    out = np.full((3, count), np.nan, np.float32)
    matmul(to_bfloat16(left), packed, count, out)
    check(out, left, whole[:, first : first + count])


@needs_pairs
@given(m=SIZES, n=SIZES, k=SIZES | st.sampled_from([480, 512, 544, 1056]))
@settings(deadline=None)
def test_a_gradient_is_the_product_over_all_rows(m: int, n: int, k: int) -> None:
    left, right = draw_bfloat16(k, m), draw_bfloat16(k, n)
    packed, turned = room(packed_size(m, k)), room(transposed_size(n, k))
    pack_transposed(to_bfloat16(left), 0, m, packed)
    for first, last in ((n // 2, n), (0, n // 2)):  # by two threads
        transpose(to_bfloat16(right), first, last, turned)
    out = np.full((m, n), np.nan, np.float32)
    matmul_tn(k, packed, m, turned, n, out)
    check(out, left.T, right)


@needs_pairs
def test_what_is_not_a_number_comes_through() -> None:
    left, right = draw_bfloat16(3, 64), draw_bfloat16(64, 32)
    left[1, 2] = np.nan
    packed, out = room(packed_size(32, 64)), np.zeros((3, 32), np.float32)
    pack_transposed(right, 0, 32, packed)
    matmul(to_bfloat16(left), packed, 32, out)
    assert np.isnan(out[1]).all()
    assert np.isfinite(out[[0, 2]]).all()


@pytest.mark.skipif(not HAS_AMX, reason="no matrix unit in this processor")
def test_products_of_pytorch_in_between_are_not_disturbed() -> None:
    left, right = draw_bfloat16(33, 128), draw_bfloat16(128, 96)
    packed = room(packed_size(96, 128))
    pack_transposed(right, 0, 96, packed)
    theirs = [torch.from_numpy(matrix).bfloat16() for matrix in (left, right)]
    for _ in range(3):
        out = np.empty((33, 96), np.float32)
        matmul(to_bfloat16(left), packed, 96, out)
        check(out, left, right)
        found = torch.mm(*theirs).float().numpy()
        np.testing.assert_allclose(found, left @ right, rtol=0.01, atol=0.2)


def learned(network: CharacterLSTM, batch: int) -> tuple[Tensor, State, list[Tensor]]:
    """Returns outputs, state and gradients of a sequence from a warm state, in bfloat16."""
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(network.vocabulary_size, (12, batch), generator=generator)
    shape = (network.config.layers, batch, network.config.hidden)
    state = (torch.randn(shape, generator=generator), torch.randn(shape, generator=generator))
    with torch.autocast("cpu", torch.bfloat16):
        outputs, after = network.training_forward(ids, state, None, "packed", torch.bfloat16)
    total = (outputs.float() ** 2).sum() + after[1].float().sum() + after[0].float().sum()
    inner = [weight for name, weight in network.named_parameters() if "head" not in name]
    return outputs, after, list(torch.autograd.grad(total, inner))


@needs_pairs
@pytest.mark.parametrize("batch", [5, 8])
@pytest.mark.parametrize("hidden", [1, 2, 7, 10, 64, 96, 130])
def test_the_layer_is_the_same_with_and_without(
    hidden: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = CharacterLSTM(ModelConfig(hidden=hidden, layers=2, embedding=6), 9)
    ours, state, gradients = learned(network, batch)
    monkeypatch.setattr("model.network.compiled_layer.HAS_BFLOAT16", False)
    theirs, their_state, their_gradients = learned(network, batch)
    assert torch.allclose(ours, theirs, atol=0.02)
    for one, other in zip(state, their_state, strict=True):
        assert torch.allclose(one.float(), other.float(), atol=0.04)
    for one, other in zip(gradients, their_gradients, strict=True):
        assert float((one - other).norm() / other.norm()) < 0.02


@needs_pairs
@pytest.mark.parametrize("batch", [5, 8])
@pytest.mark.parametrize("hidden", [2, 64, 130, 192])
def test_threads_that_share_the_units_find_what_one_finds(hidden: int, batch: int) -> None:
    torch.manual_seed(0)
    network = CharacterLSTM(ModelConfig(hidden=hidden, layers=2, embedding=6), 9)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            outputs, state, gradients = learned(network, batch)
            found.append([outputs, *state, *gradients])
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            # What vectors leave over is computed one by one and rounds differently; now and then
            # that turns the last digit of a bfloat16.
            assert float((one - other).detach().norm()) <= 1e-5 * float(other.detach().norm())
