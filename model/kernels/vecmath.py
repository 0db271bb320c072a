"""Elementary functions for kernels: scalars, which LLVM vectorises, and vectors. Numba."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils

from model.kernels.dtypes import WORD_BYTES, Array, BFloat
from model.kernels.jit import inline

_FLOAT, _SHORT = ir.FloatType(), ir.IntType(16)
HALF: Final = np.float32(0.5)
ONE: Final = np.float32(1)
TANH_LIMIT: Final = np.float32(8)
"""From here on tanh is 1 to seven digits."""
TANH_NUMERATOR: Final = (
    1.523051068e-08,
    2.189472715e-05,
    3.571601937e-03,
    1.344450127e-01,
    9.999999936e-01,
)
TANH_DENOMINATOR: Final = (8.522484045e-07, 3.411298446e-04, 2.616445779e-02, 4.677782859e-01, 1.0)
"""Coefficients in x^2, the highest first: see `tanh`."""
_P4, _P3, _P2, _P1, _P0 = (np.float32(number) for number in TANH_NUMERATOR)
_Q4, _Q3, _Q2, _Q1, _ = (np.float32(number) for number in TANH_DENOMINATOR)
_LOWEST: Final = np.float32(-87)
"""From here down the exponential function is next to nothing in float32."""
_PER_OCTAVE: Final = np.float32(1.4426950408889634)
_OCTAVE: Final = np.float32(0.6931471805599453)
_BIAS: Final = 127
"""Of the exponent of a float32."""
_MANTISSA_BITS: Final = 23
"""Of its lowest bit."""


@inline
def tanh(x: Any) -> Any:
    """Returns tanh to 4e-7: an odd rational function, coefficients by weighted least squares.

    They minimise the largest ``|x P(x^2) / (tanh(x) Q(x^2)) - 1|`` up to 8, which is 6e-9; all are
    positive, so nothing cancels.
    """
    x = -TANH_LIMIT if x < -TANH_LIMIT else x  # noqa: FURB136 - min and max would lose a NaN
    x = TANH_LIMIT if x > TANH_LIMIT else x  # noqa: FURB136
    y = x * x
    p, q = _P4, _Q4
    p = p * y + _P3
    p = p * y + _P2
    p = p * y + _P1
    p = p * y + _P0
    q = q * y + _Q3
    q = q * y + _Q2
    q = q * y + _Q1
    q = q * y + ONE
    return x * p / q


@inline
def exp(x: Any) -> Any:
    """Returns e to the x, at most 0, to 3e-7 of it: a power of two times a polynomial.

    The series of e to the r, |r| at most half the logarithm of 2, ends with the seventh power.
    """
    x = _LOWEST if x < _LOWEST else x  # noqa: FURB136 - min and max would lose a NaN
    octaves = np.int32(x * _PER_OCTAVE - HALF)
    r = x - np.float32(octaves) * _OCTAVE
    p = np.float32(1 / 5040)
    p = p * r + np.float32(1 / 720)
    p = p * r + np.float32(1 / 120)
    p = p * r + np.float32(1 / 24)
    p = p * r + np.float32(1 / 6)
    p = p * r + HALF
    p = p * r + ONE
    p = p * r + ONE
    return p * np.uint32((octaves + np.int32(_BIAS)) << np.int32(_MANTISSA_BITS)).view(np.float32)


@inline
def sigmoid(x: Any) -> Any:
    """Returns the logistic function of x."""
    return tanh(x * HALF) * HALF + HALF


@inline
def largest(row: Array) -> Any:
    """Returns the largest of some numbers; four at a time, for one must wait for the one before."""
    whole = len(row) // 4 * 4
    a = row[0]
    b, c, d = a, a, a
    for v in range(0, whole, 4):
        a = row[v] if row[v] > a else a  # noqa: FURB136 - max would look for NaN first
        b = row[v + 1] if row[v + 1] > b else b  # noqa: FURB136
        c = row[v + 2] if row[v + 2] > c else c  # noqa: FURB136
        d = row[v + 3] if row[v + 3] > d else d  # noqa: FURB136
    for v in range(whole, len(row)):
        a = row[v] if row[v] > a else a  # noqa: FURB136
    a, c = b if b > a else a, d if d > c else c  # noqa: FURB136
    return c if c > a else a  # noqa: FURB136


class VectorMath:
    """Arithmetic with vectors of so many float32."""

    def __init__(self, builder: Any, lanes: int) -> None:
        self.builder, self.lanes = builder, lanes
        self.kind = ir.VectorType(_FLOAT, lanes)
        self._multiply_add = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module,
            ir.FunctionType(self.kind, [self.kind] * 3),
            f"llvm.fmuladd.v{lanes}f32",
        )

    def all(self, number: float) -> Any:
        """Returns a number in every place."""
        return ir.Constant(self.kind, [float(number)] * self.lanes)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Returns a b + c."""
        return self.builder.call(self._multiply_add, [a, b, c])

    def at(self, address: Any, kind: Any = None) -> Any:
        """Returns what points to a vector."""
        return self.builder.inttoptr(address, (kind or self.kind).as_pointer())

    def load(self, address: Any) -> Any:
        """Returns the vector at an address."""
        return self.builder.load(self.at(address), align=WORD_BYTES)

    def tanh(self, x: Any) -> tuple[Any, Any]:
        """Returns what `tanh` divides, and by what; NaN stays NaN."""
        builder, limit = self.builder, self.all(float(TANH_LIMIT))
        low = self.all(-float(TANH_LIMIT))
        x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
        x = builder.select(builder.fcmp_ordered(">", x, limit), limit, x)
        y = builder.fmul(x, x)
        p, q = (self._polynomial(y, series) for series in (TANH_NUMERATOR, TANH_DENOMINATOR))
        return builder.fmul(x, p), q

    def sigmoid_of_half(self, x: Any) -> tuple[Any, Any]:
        """Returns what to divide, and by what, for twice the logistic function of 2x."""
        p, q = self.tanh(x)
        return self.builder.fadd(p, q), q

    def bfloat16(self, numbers: Any) -> Any:
        """Returns the bits of the nearest bfloat16, ties to even; only where ``HAS_BFLOAT16``."""
        rounded = self.builder.fptrunc(numbers, ir.VectorType(BFloat(), self.lanes))
        return self.builder.bitcast(rounded, ir.VectorType(_SHORT, self.lanes))

    def _polynomial(self, y: Any, series: tuple[float, ...]) -> Any:
        highest, *others = series
        total = self.all(highest)
        for coefficient in others:
            total = self.multiply_add(total, y, self.all(coefficient))
        return total
