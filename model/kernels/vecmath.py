"""Elementary functions for kernels, of float32. Numba, LLVM.

The functions on scalars are for Numba loops, which LLVM vectorises; `VectorMath` is for generated
code.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils

from model.kernels.dtypes import BFLOAT16_BYTES, WORD_BYTES, Array, Numbers, generate_bfloat16
from model.kernels.ir import FLOAT, SHORT, WORD, pointer
from model.kernels.jit import inline

_HALF, _ONE = np.float32(0.5), np.float32(1)
TANH_LIMIT: Final = np.float32(8)
"""From here on tanh is 1 in float32, to seven digits."""
TANH_NUMERATOR: Final = (
    1.523051068e-08,
    2.189472715e-05,
    3.571601937e-03,
    1.344450127e-01,
    9.999999936e-01,
)
TANH_DENOMINATOR: Final = (8.522484045e-07, 3.411298446e-04, 2.616445779e-02, 4.677782859e-01, 1.0)
"""Coefficients of P and Q in x^2, the highest power first; see `VectorMath.tanh`."""
_LOWEST: Final = np.float32(-87)
"""Below this e^x is nearly 0 in float32, and its exponent would overflow."""
_LOG2_E: Final = np.float32(1.4426950408889634)
_LOG_2: Final = np.float32(0.6931471805599453)
_EXPONENT_BIAS: Final = 127
"""A float32 stores its exponent plus this."""
_MANTISSA_BITS: Final = 23
"""Bits of a float32 below its exponent."""


@inline
def exp(x: Any) -> Any:
    """Returns e^x of an x <= 0, with a relative error of at most 3e-7.

    e^x = 2^n e^r with |r| <= log(2) / 2; the Taylor series of e^r ends with r^7.
    """
    x = _LOWEST if x < _LOWEST else x  # noqa: FURB136 - min and max would lose a NaN
    n = np.int32(x * _LOG2_E - _HALF)
    r = x - np.float32(n) * _LOG_2
    p = np.float32(1 / 5040)
    p = p * r + np.float32(1 / 720)
    p = p * r + np.float32(1 / 120)
    p = p * r + np.float32(1 / 24)
    p = p * r + np.float32(1 / 6)
    p = p * r + _HALF
    p = p * r + _ONE
    p = p * r + _ONE
    power = np.uint32((n + np.int32(_EXPONENT_BIAS)) << np.int32(_MANTISSA_BITS))
    return p * power.view(np.float32)


@inline
def largest(row: Array) -> Any:
    """Returns the largest number of float32 [N], N > 0.

    Four maxima at a time, because each comparison waits for the one before it.
    """
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
    """Generates arithmetic with vectors of ``lanes`` float32."""

    def __init__(self, builder: Any, lanes: int) -> None:
        self.builder, self.lanes = builder, lanes
        self.kind = ir.VectorType(FLOAT, lanes)
        self._multiply_add = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module,
            ir.FunctionType(self.kind, [self.kind] * 3),
            f"llvm.fmuladd.v{lanes}f32",
        )

    def all(self, number: float) -> Any:
        """Returns a vector with one constant in every lane."""
        return ir.Constant(self.kind, [float(number)] * self.lanes)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Returns a * b + c."""
        return self.builder.call(self._multiply_add, [a, b, c])

    def at(self, address: Any, kind: Any = None) -> Any:
        """Returns an int64 address as a pointer to a vector."""
        return pointer(self.builder, address, kind or self.kind)

    def load(self, address: Any, numbers: Numbers = "float32") -> Any:
        """Loads the vector at an address, which need not be aligned, as float32."""
        if numbers == "float32":
            return self.builder.load(self.at(address), align=WORD_BYTES)
        shorts, words = (ir.VectorType(element, self.lanes) for element in (SHORT, WORD))
        bits = self.builder.load(self.at(address, shorts), align=BFLOAT16_BYTES)
        half = ir.Constant(words, [16] * self.lanes)
        upper = self.builder.shl(self.builder.zext(bits, words), half)
        return self.builder.bitcast(upper, self.kind)

    def store(self, vector: Any, address: Any, numbers: Numbers = "float32") -> None:
        """Stores a vector of float32 at an address, which need not be aligned."""
        align = WORD_BYTES
        if numbers == "pairs":
            vector, align = generate_bfloat16(self.builder, vector), BFLOAT16_BYTES
        self.builder.store(vector, self.at(address, vector.type), align=align)

    def tanh(self, x: Any) -> tuple[Any, Any]:
        """Returns numerator and denominator of the hyperbolic tangent; NaN stays NaN.

        They are x P(x^2) and Q(x^2), and the error is at most 4e-7. The coefficients come from
        weighted least squares. They minimise the largest ``|x P(x^2) / (tanh(x) Q(x^2)) - 1|`` up
        to 8, which is 6e-9. All are positive, so nothing cancels.
        """
        builder, limit = self.builder, self.all(float(TANH_LIMIT))
        low = self.all(-float(TANH_LIMIT))
        x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
        x = builder.select(builder.fcmp_ordered(">", x, limit), limit, x)
        y = builder.fmul(x, x)
        p, q = (self._polynomial(y, series) for series in (TANH_NUMERATOR, TANH_DENOMINATOR))
        return builder.fmul(x, p), q

    def sigmoid_of_half(self, x: Any) -> tuple[Any, Any]:
        """Returns numerator and denominator of 2 sigmoid(2x) = tanh(x) + 1."""
        p, q = self.tanh(x)
        return self.builder.fadd(p, q), q

    def _polynomial(self, y: Any, series: tuple[float, ...]) -> Any:
        highest, *others = series
        total = self.all(highest)
        for coefficient in others:
            total = self.multiply_add(total, y, self.all(coefficient))
        return total
