"""A single row times panels, added up as the matrix unit does, but in vectors. Numba, LLVM.

For one row the unit is no quicker than vectors, and hyperthreads share it: beside a neighbour that
uses it as well it takes three times as long. It adds up the products of even and of odd inner
indices of a tile apart, each from 0, and then both and what was there before (Intel's Software
Developer's Manual, TDPBF16PS). Vectors that do the same give the same number, bit by bit, so a text
may be written in either way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from model.compiled import compiled
from model.matrix_unit import DEPTH, LINE, PANEL_LINE, PANEL_STEP
from model.pair_product import LANES, PANEL
from model.processor import CAN_PAIR
from model.register_block import NUMBER, halves, in_all_lanes

_AT_ONCE: Final = 4
"""Panels: eight vectors, of which each sum can wait for the last product while others are begun."""
_VECTORS: Final = PANEL // LANES
_PAIRS: Final = DEPTH // 2
_TO_NEAREST: Final = 8
"""Rounding that is told in the instruction itself."""
_FLOAT, _INTEGER, _BITS = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_SUMS, _COLUMNS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_BITS, LANES)


def _row(panels: int) -> Callable[..., None]:
    """Returns the intrinsic that multiplies a row with so many panels.

    It takes five integers: where the row begins; tiles that it consists of, at least one; where the
    panels begin and bytes from one to the next; where the sums go.
    """

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        if CAN_PAIR:  # other processors must not be asked to compile the instruction
            _generate(builder, arguments, panels)
        return context.get_dummy_value()

    def typed(
        _: Any,
        row: Any,  # noqa: ARG001
        steps: Any,  # noqa: ARG001
        right: Any,  # noqa: ARG001
        panel: Any,  # noqa: ARG001
        out: Any,  # noqa: ARG001
    ) -> Any:
        return types.void(*[types.int64] * 5), generate

    return intrinsic(typed)


def _rounded(builder: Any, name: str, *numbers: Any) -> Any:
    """Returns what an instruction finds, rounded at once.

    Plain sums would be free to be added up in another order.
    """
    kind = ir.FunctionType(_SUMS, [*[_SUMS] * len(numbers), _BITS])
    function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, kind, f"llvm.x86.avx512.{name}.ps.512"
    )
    return builder.call(function, [*numbers, ir.Constant(_BITS, _TO_NEAREST)])


def _generate(builder: Any, arguments: Any, panels: int) -> None:
    """Generates what `_row` returns: a loop over tiles, and in it one over their pairs."""
    row, steps, right, panel, out = arguments
    vectors = [(place, vector) for place in range(panels) for vector in range(_VECTORS)]
    zero = ir.Constant(_SUMS, [0.0] * LANES)

    def number(value: int) -> Any:
        return ir.Constant(_INTEGER, value)

    def place_of(start: Any, distance: Any, vector: tuple[int, int], kind: Any) -> Any:
        far = builder.add(builder.mul(distance, number(vector[0])), number(vector[1] * LINE))
        return builder.inttoptr(builder.add(start, far), kind.as_pointer())

    before, tiles = builder.block, builder.append_basic_block("tiles")
    pairs, whole = builder.append_basic_block("pairs"), builder.append_basic_block("whole")
    after = builder.append_basic_block("done")
    builder.branch(tiles)
    builder.position_at_end(tiles)
    left, from_row, from_panel = (builder.phi(_INTEGER) for _ in range(3))
    totals = [builder.phi(_SUMS) for _ in vectors]
    builder.branch(pairs)
    builder.position_at_end(pairs)
    remaining, row_at, panel_at = (builder.phi(_INTEGER) for _ in range(3))
    sums = [[builder.phi(_SUMS) for _ in vectors] for _ in range(2)]  # of even, of odd indices
    pair = builder.load(builder.inttoptr(row_at, _BITS.as_pointer()), align=NUMBER)
    numbers = halves(builder, in_all_lanes(builder, pair, _COLUMNS))
    added: list[list[Any]] = [[], []]
    for index, vector in enumerate(vectors):
        columns = builder.load(place_of(panel_at, panel, vector, _COLUMNS), align=NUMBER)
        for half, own in enumerate(halves(builder, columns)):
            sum_ = sums[half][index]
            added[half].append(_rounded(builder, "vfmadd", numbers[half], own, sum_))
    fewer = builder.sub(remaining, number(1))
    nexts = [fewer, builder.add(row_at, number(NUMBER)), builder.add(panel_at, number(PANEL_LINE))]
    phis = [remaining, row_at, panel_at, *sums[0], *sums[1]]
    starts = [number(_PAIRS), from_row, from_panel, *[zero] * (2 * len(vectors))]
    for phi, start, follows in zip(phis, starts, [*nexts, *added[0], *added[1]], strict=True):
        phi.add_incoming(start, tiles)
        phi.add_incoming(follows, pairs)
    builder.cbranch(builder.icmp_signed(">", fewer, number(0)), pairs, whole)
    builder.position_at_end(whole)
    both = [_rounded(builder, "add", even, odd) for even, odd in zip(*added, strict=True)]
    grown = [_rounded(builder, "add", total, one) for total, one in zip(totals, both, strict=True)]
    less = builder.sub(left, number(1))
    nexts = [less, nexts[1], builder.add(from_panel, number(PANEL_STEP))]
    starts = [steps, row, right, *[zero] * len(vectors)]
    phis = [left, from_row, from_panel, *totals]
    for phi, start, follows in zip(phis, starts, [*nexts, *grown], strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(follows, whole)
    builder.cbranch(builder.icmp_signed(">", less, number(0)), tiles, after)
    builder.position_at_end(after)
    for vector, total in zip(vectors, grown, strict=True):
        builder.store(total, place_of(out, number(PANEL_LINE), vector, _SUMS), align=NUMBER)


_some_panels, _one_panel = _row(_AT_ONCE), _row(1)


@compiled
def multiply_row(n: int, steps: int, row: int, right: int, out: int) -> None:
    """Puts a row [1, `DEPTH` steps] times a right matrix into float32 ``out`` [1, n]; by address.

    Args:
        n: columns, a multiple of `PANEL`.
        steps: of `DEPTH` inner indices.
        row: bfloat16.
        right: bfloat16, in panels: see ``pack_panels`` of ``model.pair_product``.
        out: the sums, bit by bit those of ``multiply_tiles``.
    """
    panel, column = steps * PANEL_STEP, 0
    while column < n:
        start, sums = right + column // PANEL * panel, out + column * NUMBER
        if n - column >= _AT_ONCE * PANEL:
            _some_panels(row, steps, start, panel, sums)
            column += _AT_ONCE * PANEL
        else:
            _one_panel(row, steps, start, panel, sums)
            column += PANEL
