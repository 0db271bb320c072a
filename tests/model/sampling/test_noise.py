"""Gumbel noise: its law, and that any row can be had again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from noise_by_definition import noise_row

from model.config import SamplingConfig
from model.kernels import gumbel as noise_kernel
from model.kernels.splitmix import BLOCK, STRIDE
from model.sampling.distribution import choose
from model.sampling.noise import GumbelNoise, gumbel, mixed

EXTREMES = np.array([0, 1, 2, 1_000, 2**31, 2**32 - 300, 2**32 - 1], np.uint32)
"""Random bits."""


@given(seed=st.integers(0, 2**64 - 1), index=st.integers(0, 2**40))
def test_a_row_does_not_depend_on_those_before_it(seed: int, index: int) -> None:
    row = GumbelNoise(seed, 7).row(index)
    other = GumbelNoise(seed, 7)
    other.row(index // 2)
    assert np.array_equal(other.row(index), row)
    assert row.shape == (7,)
    assert np.isfinite(row).all()


@given(seed=st.integers(0, 2**64 - 1), index=st.integers(0, 2**40), width=st.integers(1, 70))
@example(seed=0, index=0, width=3)
@example(seed=0, index=BLOCK - 1, width=3)
@example(seed=0, index=BLOCK, width=3)
def test_a_row_is_the_words_of_its_own_place(seed: int, index: int, width: int) -> None:
    found = GumbelNoise(seed, width).row(index)
    np.testing.assert_allclose(found, noise_row(seed, width, index), atol=0.02)


def test_rows_and_seeds_differ() -> None:
    noise = GumbelNoise(1, 5)
    rows = [tuple(noise.row(index)) for index in range(3 * BLOCK)]
    assert len(set(rows)) == len(rows)
    assert tuple(GumbelNoise(2, 5).row(0)) not in rows


def test_the_generator_is_splitmix64() -> None:
    """The first words that its authors' program gives for the seed 0."""
    words = mixed(np.arange(1, 4, dtype=np.uint64) * np.uint64(STRIDE))
    assert [int(word) for word in words] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


def test_it_follows_the_standard_gumbel_law() -> None:
    numbers = np.sort(np.concatenate([GumbelNoise(3, 100).block(k) for k in range(4)]).ravel())
    law = np.exp(-np.exp(-numbers))
    steps = (np.arange(len(numbers)) + 0.5) / len(numbers)
    distance = np.abs(law - steps).max()  # Kolmogorov and Smirnov's
    assert distance < 1.63 / np.sqrt(len(numbers))
    assert numbers.mean() == pytest.approx(np.euler_gamma, abs=0.02)


def test_rows_columns_and_seeds_are_not_correlated() -> None:
    numbers = np.stack([GumbelNoise(seed, 64).block(0) for seed in range(8)])
    numbers -= numbers.mean()
    for shift in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 2), (1, 1, 0), (0, 1, 1)):
        product = numbers * np.roll(numbers, shift, axis=(0, 1, 2))
        # The mean of n products of independent numbers of variance s^2 deviates by s^2 / sqrt(n).
        assert abs(product.mean()) < 4 * numbers.var() / np.sqrt(product.size)


def test_all_bits_become_the_number_that_they_stand_for() -> None:
    with np.errstate(all="raise"):
        found = gumbel(EXTREMES)
    assert np.isfinite(found).all()
    assert (np.diff(found) <= 0).all()
    p = (EXTREMES[:-1] + 0.5) / 2**32
    np.testing.assert_allclose(found[:-1], -np.log(-np.log1p(-p)), atol=0.02)
    np.testing.assert_allclose(found[:5], -np.log(-np.log1p(-p[:5])), rtol=1e-6)


def test_no_noise_draws_what_the_model_rules_out() -> None:
    noise = gumbel(np.array([0, *[2**31] * 50], np.uint32))
    assert choose(np.zeros(51, np.float32), SamplingConfig(temperature=1), noise) == 0
    logits = np.zeros(51, np.float32)
    logits[0] = -23  # one in ten thousand millions
    assert choose(logits, SamplingConfig(temperature=1), noise) != 0


@given(
    seed=st.integers(0, 2**64 - 1),
    number=st.integers(0, 2**40),
    width=st.integers(1, 70),
    stream=st.integers(0, 2),
)
def test_compiled_code_draws_the_same(seed: int, number: int, width: int, stream: int) -> None:
    noise = GumbelNoise(seed, width)
    drawn = np.full((BLOCK, 3, width), np.nan, np.float32)
    start, words = np.uint64(noise.start(number)), np.empty(width, np.uint64)
    noise_kernel.draw_block.run(start, stream, words, drawn)
    np.testing.assert_allclose(drawn[:, stream], noise.block(number), rtol=1e-6, atol=2e-6)
    assert np.isnan(np.delete(drawn, stream, axis=1)).all()


def test_compiled_code_knows_the_extremes() -> None:
    found = [noise_kernel.gumbel(bits) for bits in EXTREMES]
    np.testing.assert_allclose(found, gumbel(EXTREMES), rtol=1e-6, atol=1e-4)
