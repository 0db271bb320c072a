"""The compiled loops of our LSTM layer: exact enough, and honest about NaN."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.kernels import dtypes
from model.kernels.cpu import HAS_BFLOAT16
from model.kernels.dtypes import bfloat16_bits, to_float32
from model.kernels.ir import View, generated
from model.kernels.jit import inline
from model.kernels.vecmath import Units, over_units

Floats = npt.NDArray[np.float32]
RoundTrip = tuple[Callable[[Floats, npt.NDArray[np.uint16], Floats], None], bool]
"""Rounds numbers to bfloat16 and back; and whether it does so with subnormal ones, too."""


def generate_tanh(builder: Any, numbers: View, out: View) -> None:
    def one_vector(units: Units) -> None:
        units.store(builder.fdiv(*units.vectors.tanh(units.load(numbers))), out)

    over_units(builder, numbers.shape[0], one_vector)


_tanh = generated(generate_tanh)


@inline
def squash(numbers: Floats, out: Floats) -> None:
    _tanh(numbers, out)


@pytest.fixture(scope="module", params=sorted({HAS_BFLOAT16, False}))
def there_and_back(request: pytest.FixtureRequest) -> Iterator[RoundTrip]:
    """Rounds to bfloat16 by operations on integers, and by an instruction if there is one."""

    @inline
    def run(numbers: Floats, stored: npt.NDArray[np.uint16], out: Floats) -> None:
        for j in range(len(numbers)):
            stored[j] = bfloat16_bits(numbers[j])
            out[j] = to_float32(stored[j])

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dtypes, "HAS_BFLOAT16", request.param)
        run(np.empty(1, np.float32), np.empty(1, np.uint16), np.empty(1, np.float32))
    yield run, not request.param


def test_tanh_is_right_to_six_digits_and_never_above_one() -> None:
    numbers = np.linspace(-100, 100, 200_001, dtype=np.float32)
    numbers = np.concatenate([numbers, numbers / 1e3, [np.inf, -np.inf, 0]]).astype(np.float32)
    out = np.empty_like(numbers)
    squash(numbers, out)
    assert np.abs(out - np.tanh(numbers.astype(np.float64))).max() < 5e-7
    assert np.abs(out).max() <= 1


def test_what_is_not_a_number_stays_so(there_and_back: RoundTrip) -> None:
    numbers = np.array([np.nan] * 40, np.float32)
    out = np.zeros_like(numbers)
    squash(numbers, out)
    assert np.isnan(out).all()
    run, _ = there_and_back
    run(numbers, np.empty(40, np.uint16), out)
    assert np.isnan(out).all()


def test_half_way_between_two_the_even_one_is_taken(there_and_back: RoundTrip) -> None:
    upper = np.arange(0x3F00, 0x3F40, dtype=np.uint32)
    numbers = np.concatenate([(upper << 16) + rest for rest in (0x7FFF, 0x8000, 0x8001)])
    numbers = numbers.view(np.float32)
    out = np.empty_like(numbers)
    run, _ = there_and_back
    run(numbers, np.empty(len(numbers), np.uint16), out)
    found = out.view(np.uint32).reshape(3, -1) >> 16
    assert np.array_equal(found, [upper, upper + upper % 2, upper + 1])


@given(values=st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40))
def test_bfloat16_is_rounded_as_pytorch_rounds_it(
    there_and_back: RoundTrip, values: list[float]
) -> None:
    numbers = np.array(values, np.float32)
    out = np.empty_like(numbers)
    run, exact = there_and_back
    run(numbers, np.empty(len(numbers), np.uint16), out)
    expected = torch.from_numpy(numbers).bfloat16().float().numpy()
    if exact:
        assert np.array_equal(out, expected)
    else:  # the instruction takes subnormal numbers for zero
        tiny = np.abs(numbers) < np.finfo(np.float32).tiny
        assert np.array_equal(out, np.where(tiny, 0, expected))
