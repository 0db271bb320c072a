"""Training part and held-out part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import split_ids


@given(length=st.integers(0, 5000), fraction=st.floats(0, 1))
def test_the_two_parts_cover_the_text_in_order(length: int, fraction: float) -> None:
    ids = np.arange(length)
    parts = split_ids(ids, fraction)
    assert np.array_equal(np.concatenate([parts.train, parts.held_out]), ids)
    assert len(parts.held_out) == round(length * fraction)


def test_the_parts_are_views() -> None:
    ids = np.arange(100)
    parts = split_ids(ids, 0.1)
    assert np.shares_memory(parts.train, ids)
    assert np.shares_memory(parts.held_out, ids)
    assert parts.held_out.tolist() == list(range(90, 100))


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_fraction_is_between_none_and_all(fraction: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        split_ids(np.arange(10), fraction)


def test_ids_have_one_dimension() -> None:
    with pytest.raises(ValueError, match="shape"):
        split_ids(np.zeros((2, 2)), 0.1)
