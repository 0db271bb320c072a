"""A step of an LSTM's cell, in vectors of the processor and by address alone. Numba, LLVM.

For a view of an array compiled code works out its borders, counts who holds the array, and looks
whether it overlaps with others: for 32 units that takes ten times as long as the step, which here
knows addresses alone. The equations are those of ``model.writing_kernel``; what no whole vector is
left for is computed by the same operations, and rounded as in vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from model.cell_kernels import LARGEST, TANH_DENOMINATOR, TANH_NUMERATOR
from model.compiled import compiled
from model.processor import LANES
from model.register_block import NUMBER, BFloat

_FLOAT, _INTEGER, _SHORT = ir.FloatType(), ir.IntType(64), ir.IntType(16)
_ROUNDED: Final = 2
"""Bytes of a bfloat16."""


class _Vectors:
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
        return self.builder.load(self.at(address), align=NUMBER)

    def tanh(self, x: Any) -> tuple[Any, Any]:
        """Returns what ``model.cell_kernels.tanh`` divides, and by what; NaN stays what it is."""
        builder, limit = self.builder, self.all(float(LARGEST))
        low = self.all(-float(LARGEST))
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
        """Returns the bits of the nearest bfloat16, ties to even; only where ``CAN_PAIR``."""
        rounded = self.builder.fptrunc(numbers, ir.VectorType(BFloat(), self.lanes))
        return self.builder.bitcast(rounded, ir.VectorType(_SHORT, self.lanes))

    def _polynomial(self, y: Any, series: tuple[float, ...]) -> Any:
        highest, *others = series
        total = self.all(highest)
        for coefficient in others:
            total = self.multiply_add(total, y, self.all(coefficient))
        return total


def _cell_vectors(lanes: int) -> Callable[..., None]:
    """Returns the intrinsic that makes a step of some units, a multiple of ``lanes``.

    It takes eight integers: see `step_units`.
    """

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        count, products, products_gate, added, added_gate, cell, own, above = arguments
        vectors = _Vectors(builder, lanes)
        before, loop = builder.block, builder.append_basic_block("units")
        after = builder.append_basic_block("done")
        there_are = builder.icmp_signed(">", count, ir.Constant(_INTEGER, 0))
        builder.cbranch(there_are, loop, after)
        builder.position_at_end(loop)
        unit = builder.phi(_INTEGER)
        unit.add_incoming(ir.Constant(_INTEGER, 0), before)
        in_full = builder.mul(unit, ir.Constant(_INTEGER, NUMBER))
        in_short = builder.mul(unit, ir.Constant(_INTEGER, _ROUNDED))

        def gate(number: int) -> Any:
            place = ir.Constant(_INTEGER, number)
            parts = ((products, products_gate), (added, added_gate))
            starts = (builder.add(start, builder.mul(line, place)) for start, line in parts)
            loaded = (vectors.load(builder.add(start, in_full)) for start in starts)
            return builder.fadd(*loaded)

        times, half = builder.fmul, vectors.all(0.5)
        (i, i_by), (f, f_by), (o, o_by) = (vectors.sigmoid_of_half(gate(n)) for n in range(3))
        g, g_by = vectors.tanh(gate(3))
        carried = builder.add(cell, in_full)
        # c f + i g over one denominator: divisions are what a step waits for.
        by = times(i_by, g_by)
        kept = times(times(vectors.load(carried), f), by)
        sums = vectors.multiply_add(times(i, g), f_by, kept)
        now = builder.fdiv(times(sums, half), times(by, f_by))
        builder.store(now, vectors.at(carried), align=NUMBER)
        c, c_by = vectors.tanh(now)
        rounded = vectors.bfloat16(builder.fdiv(times(times(o, half), c), times(o_by, c_by)))
        for out in (own, above):
            place = vectors.at(builder.add(out, in_short), rounded.type)
            builder.store(rounded, place, align=_ROUNDED)
        following = builder.add(unit, ir.Constant(_INTEGER, lanes))
        unit.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    def typed(  # noqa: PLR0917
        _: Any,
        count: Any,  # noqa: ARG001
        sums: Any,  # noqa: ARG001
        sums_gate: Any,  # noqa: ARG001
        added: Any,  # noqa: ARG001
        added_gate: Any,  # noqa: ARG001
        cell: Any,  # noqa: ARG001
        own: Any,  # noqa: ARG001
        above: Any,  # noqa: ARG001
    ) -> Any:
        return types.void(*[types.int64] * 8), generate

    return intrinsic(typed)


_vectors, _units = _cell_vectors(LANES), _cell_vectors(1)


@compiled
def step_units(  # noqa: PLR0917 - compiled code takes them by position
    count: int,
    sums: int,
    sums_gate: int,
    added: int,
    added_gate: int,
    cell: int,
    own: int,
    above: int,
) -> None:
    """Makes a step of some units of one stream; everything by address.

    Args:
        count: units.
        sums: float32, what the products add to their first gate.
        sums_gate: bytes from one gate to the next; they are i, f, o, g, the first three halved as
            in ``LayerWeights``.
        added: float32, what else goes into their first gate.
        added_gate: bytes from one gate to the next.
        cell: float32, the cell state; it is brought up to date.
        own: bfloat16, the hidden state; written.
        above: bfloat16, the same for who reads the layer; written.
    """
    whole = count // LANES * LANES
    _vectors(whole, sums, sums_gate, added, added_gate, cell, own, above)
    full, short = whole * NUMBER, whole * _ROUNDED
    _units(
        count - whole,
        sums + full,
        sums_gate,
        added + full,
        added_gate,
        cell + full,
        own + short,
        above + short,
    )
