"""bfloat16 matrices multiplied by a processor's matrix unit (AMX). Numba, LLVM.

The unit multiplies a tile of up to 16 rows with one of 16 columns, 32 inner indices at a time, and
adds to a tile of float32 sums; there are eight tiles. It starves where the rows of a tile do not
begin with lines of the cache (a third of the speed), or lie a power of two apart: right matrices
are packed in panels (``model.pair_product``), in `aligned` arrays.

A sum is added up in one order whatever is beside it, so no number depends on how many rows or
columns are asked for at once; it is another order than that of ``model.pair_product``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from model.compiled import compiled
from model.pair_product import PANEL
from model.processor import HAS_MATRIX_UNIT

DEPTH: Final = 32
"""Inner indices of a tile."""
ROWS: Final = 16
"""Rows of a tile, and columns of its sums."""
LINE: Final = 64
"""Bytes of a line of the cache, and of a tile's row."""
PANEL_LINE: Final = 2 * LINE
PANEL_STEP: Final = ROWS * PANEL_LINE
"""Bytes of a panel's pairs, of one row and of a tile's: two tiles lie side by side."""
_NUMBER: Final = 4
"""Bytes of a float32, and of a pair of bfloat16."""
_TILES: Final = 8
_COLUMN_TILES: Final = {2: 2, 1: 4}
"""Of a block, by its tiles of rows: so many that the sums fill four tiles, each of which must wait
for its last product while the others have theirs."""

_INTEGER, _SHORT, _BYTE = ir.IntType(64), ir.IntType(16), ir.IntType(8)
_POINTER = _BYTE.as_pointer()


def aligned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns a copy that begins with a line of the cache."""
    room = np.empty(array.nbytes + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _call(builder: Any, name: str, *values: Any) -> None:
    """Has compiled code give the unit an instruction; nothing where there is no unit.

    Code that multiplies in one way or the other is so compiled for every processor.
    """
    if not HAS_MATRIX_UNIT:
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
        whole = _tile(ROWS)
        # 1, zeros, what a row of each tile has in bytes, what each tile has in rows; see `_block`.
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
let_go: Callable[..., None] = intrinsic(_let_go)
"""``let_go()``: ends the use of the unit, which others set up in their own way."""


def _generate(builder: Any, arguments: Any, row_tiles: int, panels: int, *, adds: bool) -> None:
    """Generates what `_block` returns."""
    left, left_row, steps, right, panel, out, out_row = arguments
    across = _COLUMN_TILES[row_tiles]
    rows, columns = range(4, 4 + row_tiles), range(4 + row_tiles, _TILES)

    def later(address: Any, distance: Any, times: int) -> Any:
        return builder.add(address, builder.mul(distance, ir.Constant(_INTEGER, times)))

    sums = [row * across + column for row in range(row_tiles) for column in range(2 * panels)]
    one, line, step = (ir.Constant(_INTEGER, number) for number in (1, LINE, PANEL_STEP))
    panel_line = ir.Constant(_INTEGER, PANEL_LINE)

    def place_of(tile: int) -> Any:
        start = later(later(out, out_row, ROWS * (tile // across)), line, tile % across)
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
        start = builder.inttoptr(later(row_at, left_row, ROWS * place), _POINTER)
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


def _block(row_tiles: int, panels: int, *, adds: bool) -> Callable[..., None]:
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


@compiled
def set_up(m: int) -> None:
    """Prepares the unit for products of a left matrix with m rows; takes it a third of a us."""
    first = min(m, 2 * ROWS)
    _configure(min(first, ROWS), max(0, first - ROWS))


def _multiply(*, adds: bool) -> Callable[..., None]:
    """Returns `multiply_tiles` or `add_tiles`."""
    tall, wide, small = (_block(*shape, adds=adds) for shape in ((2, 1), (1, 2), (1, 1)))

    @compiled
    def multiply(  # noqa: PLR0917
        m: int,
        n: int,
        steps: int,
        left: int,
        left_row: int,
        right: int,
        panel: int,
        out: int,
        out_row: int,
        backwards: bool,
    ) -> None:
        usual = min(m, 2 * ROWS)
        for row in range(0, m, 2 * ROWS):
            rows, start = min(m - row, 2 * ROWS), left + row * left_row
            sums, done = out + row * out_row, 0
            if rows != usual:
                set_up(rows)
            while done < n:
                count = PANEL if rows > ROWS or n - done == PANEL else 2 * PANEL
                column = n - done - count if backwards else done
                place, packed = sums + column * _NUMBER, right + column // PANEL * panel
                if rows > ROWS:
                    tall(start, left_row, steps, packed, panel, place, out_row)
                elif count > PANEL:
                    wide(start, left_row, steps, packed, panel, place, out_row)
                else:
                    small(start, left_row, steps, packed, panel, place, out_row)
                done += count
            if rows != usual:
                set_up(m)

    return multiply


multiply_tiles = _multiply(adds=False)
"""``multiply_tiles(m, n, steps, left, left_row, right, panel, out, out_row, backwards)``: puts a
left matrix [m, `DEPTH` steps] times a right one into float32 ``out`` [m, n]. Only where the
processor has a matrix unit, between `set_up` and `let_go`, which do nothing elsewhere. Matrices by
address:

m: rows.
n: columns, a multiple of `PANEL`.
steps: of `DEPTH` inner indices.
left: bfloat16.
left_row: bytes from one row to the next.
right: bfloat16, in panels: see ``pack_panels`` of ``model.pair_product``.
panel: bytes from one panel to the next.
out: row by row.
out_row: bytes from one row to the next.
backwards: whether to begin with the last columns: a cache holds what was read last.
"""
add_tiles = _multiply(adds=True)
"""Does the same, and adds to what is in ``out``."""
