"""Gumbel noise: its law, and that any row can be had again."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.noise import BLOCK, GumbelNoise


@given(seed=st.integers(0, 2**64 - 1), index=st.integers(0, 2**40))
def test_a_row_does_not_depend_on_those_before_it(seed: int, index: int) -> None:
    row = GumbelNoise(seed, 7).row(index)
    other = GumbelNoise(seed, 7)
    other.row(index // 2)
    assert np.array_equal(other.row(index), row)
    assert row.shape == (7,)
    assert np.isfinite(row).all()


def test_rows_and_seeds_differ() -> None:
    noise = GumbelNoise(1, 5)
    rows = [tuple(noise.row(index)) for index in range(3 * BLOCK)]
    assert len(set(rows)) == len(rows)
    assert tuple(GumbelNoise(2, 5).row(0)) not in rows


def test_it_follows_the_standard_gumbel_law() -> None:
    numbers = np.sort(np.concatenate([GumbelNoise(3, 100).block(k) for k in range(4)]).ravel())
    law = np.exp(-np.exp(-numbers))
    steps = (np.arange(len(numbers)) + 0.5) / len(numbers)
    distance = np.abs(law - steps).max()  # Kolmogorov and Smirnov's
    assert distance < 1.63 / np.sqrt(len(numbers))
    assert numbers.mean() == pytest.approx(np.euler_gamma, abs=0.02)


def test_it_is_finite_where_denormals_are_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Still:
        def __init__(self, source: object) -> None:
            self.bit_generator = source

        def standard_exponential(self, shape: tuple[int, int], kind: type) -> npt.NDArray[Any]:
            return np.zeros(shape, kind)

    monkeypatch.setattr(np.random, "Generator", Still)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor does not flush denormals")
    try:
        with np.errstate(all="raise"):
            rows = GumbelNoise(seed=0, width=3).block(0)
    finally:
        torch.set_flush_denormal(False)
    assert np.isfinite(rows).all()
    assert rows.min() > 80
