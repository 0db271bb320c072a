"""Elementary functions for kernels, of float32. Numba, LLVM.

`VectorMath` and `over_units` are for generated code; the functions at the end, and those on
scalars, are for Numba.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types

from model.kernels.cpu import LANES
from model.kernels.dtypes import generate_bfloat16
from model.kernels.ir import (
    FLOAT,
    SHORT,
    WORD,
    View,
    broadcast,
    counted_loop,
    for_range,
    generate_multiply_add,
    generated,
    integer,
)

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
_LOWEST: Final = -87.0
"""Below this e^x is nearly 0 in float32, and its exponent would overflow."""
_EXP_SERIES: Final = tuple(1 / math.factorial(n) for n in range(7, -1, -1))
"""Coefficients of the Taylor series of e^x, the highest power first."""
_EXPONENT_BIAS: Final = 127
"""A float32 stores its exponent plus this."""
_MANTISSA_BITS: Final = 23
"""Bits of a float32 below its exponent."""
_REDUCED_LANES: Final = 16
"""Partial results of a reduction."""


def generate_polynomial(builder: Any, x: Any, series: Sequence[Any]) -> Any:
    """Generates a polynomial in x, the coefficient of the highest power first."""
    total, *others = series
    for coefficient in others:
        total = generate_multiply_add(builder, total, x, coefficient)
    return total


multiply_add = generated(generate_multiply_add, types.float32)
"""``multiply_add(a, b, c)``: see `generate_multiply_add`."""
polynomial = generated(generate_polynomial, types.float32)
"""``polynomial(x, series)``: see `generate_polynomial`."""


class VectorMath:
    """Generates arithmetic with vectors of ``lanes`` float32."""

    def __init__(self, builder: Any, lanes: int) -> None:
        self.builder, self.lanes = builder, lanes
        self.kind = ir.VectorType(FLOAT, lanes)

    def all(self, number: float) -> Any:
        """Returns a vector with one constant in every lane."""
        return ir.Constant(self.kind, [float(number)] * self.lanes)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Returns a * b + c."""
        return generate_multiply_add(self.builder, a, b, c)

    def splat(self, number: Any) -> Any:
        """Returns a vector with a float32 in every lane."""
        return broadcast(self.builder, number, self.kind)

    def load(self, first: View) -> Any:
        """Loads a vector, which need not be aligned, as float32."""
        if first.dtype == types.float32:
            return self.builder.load(first.pointer(self.kind), align=first.itemsize)
        shorts, words = (ir.VectorType(element, self.lanes) for element in (SHORT, WORD))
        bits = self.builder.load(first.pointer(shorts), align=first.itemsize)
        half = ir.Constant(words, [16] * self.lanes)
        upper = self.builder.shl(self.builder.zext(bits, words), half)
        return self.builder.bitcast(upper, self.kind)

    def store(self, vector: Any, first: View) -> None:
        """Stores a vector of float32, which need not be aligned."""
        if first.dtype == types.uint16:
            vector = generate_bfloat16(self.builder, vector)
        self.builder.store(vector, first.pointer(vector.type), align=first.itemsize)

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

    def exp(self, x: Any) -> Any:
        """Returns e^x of an x <= 0; NaN stays NaN. The relative error is at most 3e-7 (SSE2: 5e-6).

        e^x = 2^n e^r with |r| <= log(2) / 2; the Taylor series of e^r ends with r^7.
        """
        builder, lowest, words = self.builder, self.all(_LOWEST), ir.VectorType(WORD, self.lanes)
        bias, bits = (
            ir.Constant(words, [number] * self.lanes) for number in (_EXPONENT_BIAS, _MANTISSA_BITS)
        )
        x = builder.select(builder.fcmp_ordered("<", x, lowest), lowest, x)
        exponent = self.multiply_add(x, self.all(1 / math.log(2)), self.all(-0.5))
        n = builder.fptosi(exponent, words)
        r = self.multiply_add(builder.sitofp(n, self.kind), self.all(-math.log(2)), x)
        power = builder.bitcast(builder.shl(builder.add(n, bias), bits), self.kind)
        return builder.fmul(self._polynomial(r, _EXP_SERIES), power)

    def sigmoid_of_half(self, x: Any) -> tuple[Any, Any]:
        """Returns numerator and denominator of 2 sigmoid(2x) = tanh(x) + 1."""
        p, q = self.tanh(x)
        return self.builder.fadd(p, q), q

    def _polynomial(self, y: Any, series: Sequence[float]) -> Any:
        return generate_polynomial(self.builder, y, [self.all(number) for number in series])


class Units:
    """Some units of one stream, or numbers of a row, in generated code: one vector, or one lane.

    Views are those of the first unit.
    """

    def __init__(self, vectors: VectorMath, unit: Any) -> None:
        self.vectors, self._unit = vectors, unit

    def load(self, first: View) -> Any:
        """Loads the units' numbers as float32."""
        return self.vectors.load(first.after(self._unit))

    def store(self, vector: Any, first: View) -> None:
        """Stores the units' numbers."""
        self.vectors.store(vector, first.after(self._unit))

    def load_gates(self, first: View, distance: Any) -> list[Any]:
        """Loads the numbers of the four gates, which lie ``distance`` entries apart."""
        return [self.load(first.after(distance, gate)) for gate in range(4)]

    def store_gates(self, vectors: Sequence[Any], first: View, distance: Any) -> None:
        """Stores the numbers of the four gates."""
        for gate, vector in enumerate(vectors):
            self.store(vector, first.after(distance, gate))


def over_units(builder: Any, count: Any, one_vector: Callable[[Units], None]) -> None:
    """Generates a loop over vectors of units, and one over the units that are left.

    A unit has the same bits in either.

    Args:
        builder: of LLVM code.
        count: int64, the number of units.
        one_vector: generates one pass.
    """
    whole = builder.and_(count, integer(-LANES))
    rest = builder.sub(count, whole)
    for lanes, first, units in ((LANES, integer(0), whole), (1, whole, rest)):

        def step(vectors: VectorMath, unit: Any) -> list[Any]:
            one_vector(Units(vectors, unit))
            return [builder.add(unit, integer(vectors.lanes))]

        with builder.if_then(builder.icmp_signed(">", units, integer(0))):
            body = partial(step, VectorMath(builder, lanes))
            counted_loop(builder, units, [first], body, step=lanes)


def _generate_exp(builder: Any, x: Any) -> Any:
    vectors, first = VectorMath(builder, 1), ir.Constant(WORD, 0)
    return builder.extract_element(vectors.exp(vectors.splat(x)), first)


def _generate_exponentials(builder: Any, row: View, most: Any, scale: Any, out: View) -> None:
    def one_vector(units: Units) -> None:
        less = builder.fsub(units.load(row), units.vectors.splat(most))
        x = builder.fmul(less, units.vectors.splat(scale))
        units.store(units.vectors.exp(x), out)

    over_units(builder, row.shape[0], one_vector)


def _generate_reduction(builder: Any, row: View, start: Any, combine: Callable[..., Any]) -> Any:
    """Generates what a row [N] is reduced to, in one order on every processor.

    Args:
        builder: of LLVM code.
        row: float32 [N].
        start: float32, what the first sixteen partial results are combined with.
        combine: takes a builder and two numbers or vectors, and returns one.
    """
    vectors, (count,) = VectorMath(builder, _REDUCED_LANES), row.shape
    room: Any = cgutils.alloca_once_value
    passes, partial_results = builder.udiv(count, integer(_REDUCED_LANES)), vectors.splat(start)
    results = room(builder, partial_results)
    with for_range(builder, passes) as loop:
        numbers = vectors.load(row.after(loop.index, _REDUCED_LANES))
        builder.store(combine(builder, builder.load(results), numbers), results)
    vector, width = builder.load(results), _REDUCED_LANES
    while width > 1:
        width //= 2
        lower, upper = (
            ir.Constant(ir.VectorType(WORD, width), list(range(first, first + width)))
            for first in (0, width)
        )
        halves = (builder.shuffle_vector(vector, vector, half) for half in (lower, upper))
        vector = combine(builder, *halves)
    result = room(builder, builder.extract_element(vector, ir.Constant(WORD, 0)))
    first = builder.mul(passes, integer(_REDUCED_LANES))
    with for_range(builder, count, start=first) as loop:
        builder.store(combine(builder, builder.load(result), row.at(loop.index).load()), result)
    return builder.load(result)


def _generate_total(builder: Any, row: View) -> Any:
    return _generate_reduction(builder, row, ir.Constant(FLOAT, 0), ir.IRBuilder.fadd)


def _generate_largest(builder: Any, row: View) -> Any:
    def larger(_: Any, a: Any, b: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", b, a), b, a)

    return _generate_reduction(builder, row, row.load(), larger)


total_of = generated(_generate_total, types.float32)
"""``total_of(row)``: returns the sum of float32 [N]; NaN if one is among them."""
largest = generated(_generate_largest, types.float32)
"""``largest(row)``: returns the largest of float32 [N], N > 0; a NaN counts only in row[0]."""
exp = generated(_generate_exp, types.float32)
"""``exp(x)``: see `VectorMath.exp`."""
exponentials = generated(_generate_exponentials)
"""``exponentials(row, most, scale, out)``: writes ``e^((x - most) * scale)`` of float32 [N], the
largest of which is ``most``; ``out`` may be the row."""
