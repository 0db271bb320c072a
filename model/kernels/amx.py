"""bfloat16 matrices multiplied by a processor's matrix unit (AMX). Numba, LLVM.

The unit multiplies a tile of up to 16 rows with one of 16 columns, 32 inner indices at a time, and
adds to a tile of float32 sums; there are eight tiles. It starves where the rows of a tile do not
begin with lines of the cache (a third of the speed), or lie a power of two apart: right matrices
are packed in panels (``model.kernels.matmul``), in `aligned` arrays.

A sum is added up in one order whatever is beside it, so no number depends on how many rows or
columns are asked for at once; it is another order than that of ``model.kernels.matmul``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from model.kernels.cpu import HAS_AMX, HAS_BFLOAT16
from model.kernels.dtypes import WORD_BYTES
from model.kernels.jit import inline
from model.kernels.microkernel import halves, in_all_lanes
from model.kernels.packing import DEPTH, LINE, PAIR_LANES, PANEL, PANEL_LINE, PANEL_STEP, TILE_ROWS

_TILES: Final = 8
_COLUMN_TILES: Final = {2: 2, 1: 4}
"""Of a block, by its tiles of rows: so many that the sums fill four tiles, each of which must wait
for its last product while the others have theirs."""

_INTEGER, _SHORT, _BYTE = ir.IntType(64), ir.IntType(16), ir.IntType(8)
_POINTER = _BYTE.as_pointer()


def _call(builder: Any, name: str, *values: Any) -> None:
    """Has compiled code give the unit an instruction; nothing where there is no unit.

    Code that multiplies in one way or the other is so compiled for every processor.
    """
    if not HAS_AMX:
        return
    kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
    function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, kind, f"llvm.x86.{name}"
    )
    builder.call(function, values)


def _tile(number: int) -> Any:
    return ir.Constant(_BYTE, number)


def _set_up(_: Any, first: Any, second: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        first, second = (builder.trunc(rows, _BYTE) for rows in arguments)
        whole = _tile(TILE_ROWS)
        # Layout of LDTILECFG: palette 1, zeros, then bytes per row and rows of each tile.
        palette = cgutils.alloca_once(builder, ir.ArrayType(_BYTE, LINE))  # type: ignore[no-untyped-call]
        builder.store(ir.Constant(ir.ArrayType(_BYTE, LINE), [1] + [0] * (LINE - 1)), palette)
        start = builder.bitcast(palette, _POINTER)
        two = builder.icmp_unsigned(">", second, _tile(0))
        lower = builder.select(two, second, first)
        rows = [first, first, lower, lower, first, builder.select(two, second, whole), whole, whole]
        for tile in range(_TILES):
            place = builder.gep(start, [ir.Constant(_INTEGER, 16 + 2 * tile)])
            builder.store(ir.Constant(_SHORT, LINE), builder.bitcast(place, _SHORT.as_pointer()))
            builder.store(rows[tile], builder.gep(start, [ir.Constant(_INTEGER, 48 + tile)]))
        _call(builder, "ldtilecfg", start)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


def _let_go(_: Any) -> Any:
    def generate(context: Any, builder: Any, *_: Any) -> Any:
        _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


_configure: Callable[..., None] = intrinsic(_set_up)
"""``_configure(first, second)``: shapes the tiles for blocks with so many rows in their first tile,
and in their second; with 0 there for blocks of one tile of rows."""
release: Callable[..., None] = intrinsic(_let_go)
"""``release()``: ends the use of the unit, which others set up in their own way."""


def _generate(builder: Any, arguments: Any, row_tiles: int, panels: int, *, adds: bool) -> None:
    """Generates what `_tile_block` returns."""
    left, left_row, steps, right, panel, out, out_row = arguments
    across = _COLUMN_TILES[row_tiles]
    rows, columns = range(4, 4 + row_tiles), range(4 + row_tiles, _TILES)

    def later(address: Any, distance: Any, times: int) -> Any:
        return builder.add(address, builder.mul(distance, ir.Constant(_INTEGER, times)))

    sums = [row * across + column for row in range(row_tiles) for column in range(2 * panels)]
    one, line, step = (ir.Constant(_INTEGER, number) for number in (1, LINE, PANEL_STEP))
    panel_line = ir.Constant(_INTEGER, PANEL_LINE)

    def place_of(tile: int) -> Any:
        start = later(later(out, out_row, TILE_ROWS * (tile // across)), line, tile % across)
        return builder.inttoptr(start, _POINTER)

    for tile in sums:
        if adds:
            _call(builder, "tileloadd64", _tile(tile), place_of(tile), out_row)
        else:
            _call(builder, "tilezero", _tile(tile))
    before, loop = builder.block, builder.append_basic_block("inner")
    after = builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    remaining, row_at, column_at = (builder.phi(_INTEGER) for _ in range(3))
    for place, tile in enumerate(rows):
        start = builder.inttoptr(later(row_at, left_row, TILE_ROWS * place), _POINTER)
        _call(builder, "tileloadd64", _tile(tile), start, left_row)
    for place in range(2 * panels):
        tile = columns[place % len(columns)]
        start = later(later(column_at, panel, place // 2), line, place % 2)
        start = builder.inttoptr(start, _POINTER)
        _call(builder, "tileloadd64", _tile(tile), start, panel_line)
        for row in range(row_tiles):
            _call(builder, "tdpbf16ps", *map(_tile, (row * across + place, rows[row], tile)))
    fewer = builder.sub(remaining, one)
    nexts = fewer, builder.add(row_at, line), builder.add(column_at, step)
    starts = steps, left, right
    for phi, start, follows in zip((remaining, row_at, column_at), starts, nexts, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(follows, loop)
    goes_on = builder.icmp_signed(">", fewer, ir.Constant(_INTEGER, 0))
    builder.cbranch(goes_on, loop, after)
    builder.position_at_end(after)
    for tile in sums:
        _call(builder, "tilestored64", _tile(tile), place_of(tile), out_row)


def _tile_block(row_tiles: int, panels: int, *, adds: bool) -> Callable[..., None]:
    """Returns the intrinsic that multiplies so many tiles of rows with so many panels.

    It takes seven integers: where the rows begin and bytes from one to the next; steps, of `DEPTH`
    inner indices; where the panels begin and bytes from one to the next; where the sums go and
    bytes from one row of them to the next. Tiles 0 to 3 are the sums, the next ones rows, the
    others columns.
    """

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        _generate(builder, arguments, row_tiles, panels, adds=adds)
        return context.get_dummy_value()

    def typed(  # noqa: PLR0917
        _: Any,
        left: Any,  # noqa: ARG001
        left_row: Any,  # noqa: ARG001
        steps: Any,  # noqa: ARG001
        right: Any,  # noqa: ARG001
        panel: Any,  # noqa: ARG001
        out: Any,  # noqa: ARG001
        out_row: Any,  # noqa: ARG001
    ) -> Any:
        return types.void(*[types.int64] * 7), generate

    return intrinsic(typed)


@inline
def configure(m: int) -> None:
    """Prepares the unit for products of a left matrix with m rows; takes it a third of a us."""
    first = min(m, 2 * TILE_ROWS)
    _configure(min(first, TILE_ROWS), max(0, first - TILE_ROWS))


_PANELS_AT_ONCE: Final = 4
"""Panels: eight vectors, of which each sum can wait for the last product while others are begun."""
_VECTORS_PER_PANEL: Final = PANEL // PAIR_LANES
_PAIRS_PER_TILE: Final = DEPTH // 2
_TO_NEAREST: Final = 8
"""Rounding that is told in the instruction itself."""
_FLOAT, _ADDRESS, _BITS = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_SUMS, _COLUMNS = ir.VectorType(_FLOAT, PAIR_LANES), ir.VectorType(_BITS, PAIR_LANES)


def _row_intrinsic(panels: int) -> Callable[..., None]:
    """Returns the intrinsic that multiplies a row with so many panels.

    It takes five integers: where the row begins; tiles that it consists of, at least one; where the
    panels begin and bytes from one to the next; where the sums go.
    """

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        if HAS_BFLOAT16:  # other processors must not be asked to compile the instruction
            _generate_row(builder, arguments, panels)
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


def _generate_row(builder: Any, arguments: Any, panels: int) -> None:
    """Generates a loop over tiles, and in it one over their pairs."""
    row, steps, right, panel, out = arguments
    vectors = [(place, vector) for place in range(panels) for vector in range(_VECTORS_PER_PANEL)]
    zero = ir.Constant(_SUMS, [0.0] * PAIR_LANES)

    def number(value: int) -> Any:
        return ir.Constant(_ADDRESS, value)

    def place_of(start: Any, distance: Any, vector: tuple[int, int], kind: Any) -> Any:
        far = builder.add(builder.mul(distance, number(vector[0])), number(vector[1] * LINE))
        return builder.inttoptr(builder.add(start, far), kind.as_pointer())

    before, tiles = builder.block, builder.append_basic_block("tiles")
    pairs, whole = builder.append_basic_block("pairs"), builder.append_basic_block("whole")
    after = builder.append_basic_block("done")
    builder.branch(tiles)
    builder.position_at_end(tiles)
    left, from_row, from_panel = (builder.phi(_ADDRESS) for _ in range(3))
    totals = [builder.phi(_SUMS) for _ in vectors]
    builder.branch(pairs)
    builder.position_at_end(pairs)
    remaining, row_at, panel_at = (builder.phi(_ADDRESS) for _ in range(3))
    sums = [[builder.phi(_SUMS) for _ in vectors] for _ in range(2)]  # of even, of odd indices
    pair = builder.load(builder.inttoptr(row_at, _BITS.as_pointer()), align=WORD_BYTES)
    numbers = halves(builder, in_all_lanes(builder, pair, _COLUMNS))
    added: list[list[Any]] = [[], []]
    for index, vector in enumerate(vectors):
        columns = builder.load(place_of(panel_at, panel, vector, _COLUMNS), align=WORD_BYTES)
        for half, own in enumerate(halves(builder, columns)):
            sum_ = sums[half][index]
            added[half].append(_rounded(builder, "vfmadd", numbers[half], own, sum_))
    fewer = builder.sub(remaining, number(1))
    nexts = [
        fewer,
        builder.add(row_at, number(WORD_BYTES)),
        builder.add(panel_at, number(PANEL_LINE)),
    ]
    phis = [remaining, row_at, panel_at, *sums[0], *sums[1]]
    starts = [number(_PAIRS_PER_TILE), from_row, from_panel, *[zero] * (2 * len(vectors))]
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
        builder.store(total, place_of(out, number(PANEL_LINE), vector, _SUMS), align=WORD_BYTES)


_some_panels, _one_panel = _row_intrinsic(_PANELS_AT_ONCE), _row_intrinsic(1)


@inline
def row_in_tile_order(n: int, steps: int, row: int, right: int, out: int) -> None:
    """Puts a row [1, `DEPTH` steps] times a right matrix into float32 ``out`` [1, n]; by address.

    Args:
        n: columns, a multiple of `PANEL`.
        steps: of `DEPTH` inner indices.
        row: bfloat16.
        right: bfloat16, in panels: see ``pack_panels`` of ``model.kernels.matmul``.
        out: the sums, bit by bit those of ``matmul_tiles``.
    """
    panel, column = steps * PANEL_STEP, 0
    while column < n:
        start, sums = right + column // PANEL * panel, out + column * WORD_BYTES
        if n - column >= _PANELS_AT_ONCE * PANEL:
            _some_panels(row, steps, start, panel, sums)
            column += _PANELS_AT_ONCE * PANEL
        else:
            _one_panel(row, steps, start, panel, sums)
            column += PANEL
