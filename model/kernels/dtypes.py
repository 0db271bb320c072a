"""Number types of the kernels: float32; bfloat16 as bits in uint16, or pairs in uint32. Numba.

A kernel is specialised by the dtype of its arrays; the overloads here load, store and convert.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import overload

from model.kernels.jit import inline

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
WORD_BYTES: Final = 4
"""Bytes of a float32, and of a pair of bfloat16."""
BFLOAT16_BYTES: Final = 2
Numbers = Literal["float32", "pairs"]


class BFloat(ir.types.Type):  # type: ignore[misc]
    """LLVM's type of that name, which llvmlite lacks."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BFloat)

    def __hash__(self) -> int:
        return hash(BFloat)


def to_bfloat16(numbers: FloatArray) -> npt.NDArray[np.uint16]:
    """Returns the bits of the nearest bfloat16 numbers."""
    bits = numbers.astype(np.float32).view(np.uint32)
    odd = (bits >> 16) & np.uint32(1)
    return ((bits + np.uint32(0x7FFF) + odd) >> 16).astype(np.uint16)


_LOWEST_BIT: Final = np.uint32(1)
_BELOW_HALF: Final = np.uint32(0x7FFF)


def to_float32(stored: Any) -> Any:
    """Returns what is stored as a number; compiled code alone calls it."""
    raise NotImplementedError


def stored_like(number: Any, row: Any) -> Any:
    """Returns a number as the row stores it, rounded to even; compiled code alone calls it."""
    raise NotImplementedError


@overload(to_float32)
def _number_of_type(stored: Any) -> Any:
    def shifted(stored: Any) -> Any:
        return np.uint32(np.uint32(stored) << np.uint32(16)).view(np.float32)

    def as_it_is(stored: Any) -> Any:
        return stored

    return shifted if stored == types.uint16 else as_it_is


@inline
def bfloat16_bits(number: Any) -> Any:
    """Returns the bits of the nearest bfloat16, in an uint32."""
    bits = np.float32(number).view(np.uint32)
    odd = (bits >> np.uint32(16)) & _LOWEST_BIT
    return (bits + _BELOW_HALF + odd) >> np.uint32(16)


@overload(stored_like)
def _stored_as_type(number: Any, row: Any) -> Any:  # noqa: ARG001 - the type of the row counts
    def rounded(number: Any, row: Any) -> Any:  # noqa: ARG001
        return np.uint16(bfloat16_bits(number))

    def as_it_is(number: Any, row: Any) -> Any:  # noqa: ARG001
        return number

    return rounded if row.dtype == types.uint16 else as_it_is
