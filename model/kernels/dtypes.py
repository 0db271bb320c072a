"""Number types of the kernels: float32; bfloat16 as bits in uint16, or pairs in uint32. Numba.

A kernel is specialised by the dtypes of its arrays; the overloads here load, store and convert.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import overload

from model.kernels.cpu import HAS_BFLOAT16
from model.kernels.ir import SHORT, WORD, generated

Array = npt.NDArray[Any]
"""An array parameter of compiled code; its docstring gives dtype and shape."""
FloatArray = npt.NDArray[np.float32]
WORD_BYTES: Final = 4
"""Bytes of a float32, and of a pair of bfloat16."""


def by_type(choose: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function for compiled code; ``choose`` picks its code by the types of arguments."""

    @wraps(choose)
    def function(*_: Any) -> Any:
        raise NotImplementedError

    overload(function, strict=False)(choose)
    return function


class BFloat(ir.types.Type):  # type: ignore[misc]
    """LLVM's type ``bfloat``, which llvmlite lacks."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BFloat)

    def __hash__(self) -> int:
        return hash(BFloat)


def to_bfloat16(numbers: FloatArray) -> npt.NDArray[np.uint16]:
    """Returns the bits of the nearest bfloat16, ties to even; NumPy."""
    bits = numbers.astype(np.float32).view(np.uint32)
    odd = (bits >> 16) & np.uint32(1)
    return ((bits + np.uint32(0x7FFF) + odd) >> 16).astype(np.uint16)


def generate_bfloat16(builder: Any, numbers: Any) -> Any:
    """Generates the bits of the nearest bfloat16, ties to even.

    Without an instruction for it, half of the lowest kept bit is added, less one unit if that bit
    is even. A carry goes into the exponent, as it should.

    Args:
        builder: of LLVM code.
        numbers: a float32 or a vector of them.
    """
    lanes = numbers.type.count if isinstance(numbers.type, ir.VectorType) else 0

    def kind(element: Any) -> Any:
        return ir.VectorType(element, lanes) if lanes else element

    def constant(number: int) -> Any:
        return ir.Constant(kind(WORD), [number] * lanes if lanes else number)

    if HAS_BFLOAT16:
        return builder.bitcast(builder.fptrunc(numbers, kind(BFloat())), kind(SHORT))
    bits = builder.bitcast(numbers, kind(WORD))
    odd = builder.and_(builder.lshr(bits, constant(16)), constant(1))
    total = builder.add(bits, builder.add(odd, constant(0x7FFF)))
    return builder.trunc(builder.lshr(total, constant(16)), kind(SHORT))


bfloat16_bits = generated(generate_bfloat16, types.uint16)
"""Returns the bits of the bfloat16 nearest to a float32, in a uint16."""


@by_type
def to_float32(stored: Any) -> Any:
    """Returns a stored number, float32 or bits of a bfloat16, as float32."""

    def shifted(stored: Any) -> Any:
        return np.uint32(np.uint32(stored) << np.uint32(16)).view(np.float32)

    def unchanged(stored: Any) -> Any:
        return stored

    return shifted if stored == types.uint16 else unchanged


@by_type
def stored_like(number: Any, row: Any) -> Any:
    """Returns a float32 as an array stores it: as it is, or as bits of the nearest bfloat16.

    Args:
        number: float32.
        row: the array; only its dtype matters.
    """

    def rounded(number: Any, row: Any) -> Any:
        return bfloat16_bits(np.float32(number))

    def unchanged(number: Any, row: Any) -> Any:
        return number

    return rounded if row.dtype == types.uint16 else unchanged
