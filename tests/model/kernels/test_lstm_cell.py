"""The compiled loops of our LSTM layer: exact enough, and honest about NaN."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.kernels.dtypes import stored_like, to_float32
from model.kernels.jit import Kernel
from model.kernels.vecmath import tanh

Floats = npt.NDArray[np.float32]


@Kernel
def squash(numbers: Floats, out: Floats) -> None:
    for j in range(len(numbers)):
        out[j] = tanh(numbers[j])


@Kernel
def there_and_back(numbers: Floats, stored: npt.NDArray[np.uint16], out: Floats) -> None:
    for j in range(len(numbers)):
        stored[j] = stored_like(numbers[j], stored)
        out[j] = to_float32(stored[j])


def test_tanh_is_right_to_six_digits_and_never_above_one() -> None:
    numbers = np.linspace(-100, 100, 200_001, dtype=np.float32)
    numbers = np.concatenate([numbers, numbers / 1e3, [np.inf, -np.inf, 0]]).astype(np.float32)
    out = np.empty_like(numbers)
    squash.run(numbers, out)
    assert np.abs(out - np.tanh(numbers.astype(np.float64))).max() < 5e-7
    assert np.abs(out).max() <= 1


def test_what_is_not_a_number_stays_so() -> None:
    numbers = np.array([np.nan] * 40, np.float32)
    out = np.zeros_like(numbers)
    squash.run(numbers, out)
    assert np.isnan(out).all()
    there_and_back.run(numbers, np.empty(40, np.uint16), out)
    assert np.isnan(out).all()


def test_half_way_between_two_the_even_one_is_taken() -> None:
    upper = np.arange(0x3F00, 0x3F40, dtype=np.uint32)
    numbers = np.concatenate([(upper << 16) + rest for rest in (0x7FFF, 0x8000, 0x8001)])
    numbers = numbers.view(np.float32)
    out = np.empty_like(numbers)
    there_and_back.run(numbers, np.empty(len(numbers), np.uint16), out)
    found = out.view(np.uint32).reshape(3, -1) >> 16
    assert np.array_equal(found, [upper, upper + upper % 2, upper + 1])


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40))
def test_bfloat16_is_rounded_as_pytorch_rounds_it(values: list[float]) -> None:
    numbers = np.array(values, np.float32)
    out = np.empty_like(numbers)
    there_and_back.run(numbers, np.empty(len(numbers), np.uint16), out)
    expected = torch.from_numpy(numbers).bfloat16().float().numpy()
    assert np.array_equal(out, expected)
