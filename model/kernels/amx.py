"""bfloat16 matrices multiplied by AMX. Numba, LLVM.

AMX multiplies a tile of up to 16 rows [16, 32] with a tile of 16 columns [32, 16] and adds to a
tile of float32 sums [16, 16]; it has eight tile registers. It stalls where the rows of a tile do
not begin with cache lines (a third of the speed), or lie a power of two apart. Right matrices are
therefore packed in panels (``model.kernels.packing``), in `aligned` arrays.

Each sum is added up in one order, which does not depend on M or N: a stream has the same bits
beside any others. The order is another one than that of ``model.kernels.microkernel``.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils

from model.kernels.cpu import HAS_AMX
from model.kernels.dtypes import WORD_BYTES
from model.kernels.ir import BYTE, SHORT, counted_loop, generated, integer, moved, pointer
from model.kernels.jit import inline
from model.kernels.packing import CACHE_LINE, PANEL

TILE_ROWS: Final = 16
"""Rows of a tile, and columns of its sums."""
TILE_DEPTH: Final = 32
"""Inner indices of a tile."""
PANEL_ROW_BYTES: Final = 2 * CACHE_LINE
"""Bytes of one row of pairs in a panel."""
PANEL_STEP_BYTES: Final = TILE_ROWS * PANEL_ROW_BYTES
"""Bytes of a panel for `TILE_DEPTH` inner indices."""

_TILES: Final = 8
_COLUMN_TILES: Final = {2: 2, 1: 4}
"""Tiles of columns in a block, by its tiles of rows. The sums fill four tiles, because each tile
has to wait for its last product while the other three have theirs."""


def _emit(builder: Any, name: str, *values: Any) -> None:
    """Generates an AMX instruction; nothing if this processor has no AMX.

    So the same Python code compiles for every processor.
    """
    if not HAS_AMX:
        return
    kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
    function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, kind, f"llvm.x86.{name}"
    )
    builder.call(function, values)


def _tile(number: int) -> Any:
    return ir.Constant(BYTE, number)


def _generate_shapes(builder: Any, first: Any, second: Any) -> None:
    first, second = builder.trunc(first, BYTE), builder.trunc(second, BYTE)
    full = _tile(TILE_ROWS)
    # Layout of LDTILECFG: palette 1, zeros, then bytes per row and rows of each tile.
    palette = cgutils.alloca_once(builder, ir.ArrayType(BYTE, CACHE_LINE))  # type: ignore[no-untyped-call]
    zeros = [0] * (CACHE_LINE - 1)
    builder.store(ir.Constant(ir.ArrayType(BYTE, CACHE_LINE), [1, *zeros]), palette)
    start = builder.bitcast(palette, BYTE.as_pointer())
    has_two = builder.icmp_unsigned(">", second, _tile(0))
    lower = builder.select(has_two, second, first)
    last = builder.select(has_two, second, full)
    # Tiles 0 to 3 are sums. With two tiles of rows these are 4 and 5, and columns are 6 and 7;
    # with one it is 4, and columns are 5 to 7.
    rows = [first, first, lower, lower, first, last, full, full]
    for tile in range(_TILES):
        place = builder.gep(start, [integer(16 + 2 * tile)])
        row_bytes = ir.Constant(SHORT, CACHE_LINE)
        builder.store(row_bytes, builder.bitcast(place, SHORT.as_pointer()))
        builder.store(rows[tile], builder.gep(start, [integer(48 + tile)]))
    _emit(builder, "ldtilecfg", start)


_shape_tiles = generated(_generate_shapes)
"""``_shape_tiles(first, second)``: sets the rows of the tiles of a block: ``first`` rows in its
first tile of rows, ``second`` in its second; 0 for blocks of one tile of rows."""
release_tiles = generated(lambda builder: _emit(builder, "tilerelease"))
"""Ends the use of AMX, because libraries set up the tiles in their own way."""


@inline
def configure_tiles(m: int) -> None:
    """Prepares products of a left matrix with M rows.

    It takes a third of a microsecond with AMX, and no time elsewhere.
    """
    first = min(m, 2 * TILE_ROWS)
    _shape_tiles(min(first, TILE_ROWS), max(0, first - TILE_ROWS))


def _generate_block(
    row_tiles: int, panels: int, builder: Any, left: Any, left_row: Any, steps: Any, right: Any,
    panel: Any, out: Any, out_row: Any, adds: Any,
) -> None:  # fmt: skip
    """Generates the product of some tiles of rows and some panels: one loop over the steps.

    Args:
        row_tiles: 1 or 2; M is at most 16 times that.
        panels: N / PANEL; 1 or 2, but 1 if there are two tiles of rows.
        builder: of LLVM code.
        left: address of bfloat16 [M, K].
        left_row: distance from one row to the next, like all distances in bytes.
        steps: K / TILE_DEPTH, at least 1.
        right: address of the panels.
        panel: distance from one panel to the next.
        out: address of float32 [M, N].
        out_row: distance from one row to the next.
        adds: whether to add to the sums in ``out``; otherwise they are overwritten.
    """
    across = _COLUMN_TILES[row_tiles]
    # Tiles 0 to 3 are the sums, [row_tiles, across]; the next ones rows, the others columns.
    sums = [row * across + column for row in range(row_tiles) for column in range(2 * panels)]
    row_tile_numbers = range(4, 4 + row_tiles)
    column_tile_numbers = range(4 + row_tiles, _TILES)
    line = integer(CACHE_LINE)

    def place_of_sums(tile: int) -> Any:
        row = moved(builder, out, out_row, TILE_ROWS * (tile // across))
        return pointer(builder, moved(builder, row, line, tile % across), BYTE)

    with builder.if_else(builder.icmp_signed("!=", adds, integer(0))) as (loaded, cleared):
        with loaded:
            for tile in sums:
                _emit(builder, "tileloadd64", _tile(tile), place_of_sums(tile), out_row)
        with cleared:
            for tile in sums:
                _emit(builder, "tilezero", _tile(tile))

    def one_step(left_at: Any, right_at: Any) -> list[Any]:
        for index, tile in enumerate(row_tile_numbers):
            start = pointer(builder, moved(builder, left_at, left_row, TILE_ROWS * index), BYTE)
            _emit(builder, "tileloadd64", _tile(tile), start, left_row)
        for index in range(2 * panels):
            # Up to four tiles of columns take turns in the two or three registers that are left.
            tile = column_tile_numbers[index % len(column_tile_numbers)]
            start = moved(builder, moved(builder, right_at, panel, index // 2), line, index % 2)
            start = pointer(builder, start, BYTE)
            _emit(builder, "tileloadd64", _tile(tile), start, integer(PANEL_ROW_BYTES))
            for row in range(row_tiles):
                operands = row * across + index, row_tile_numbers[row], tile
                _emit(builder, "tdpbf16ps", *map(_tile, operands))
        return [builder.add(left_at, line), builder.add(right_at, integer(PANEL_STEP_BYTES))]

    counted_loop(builder, steps, [left, right], one_step)
    for tile in sums:
        _emit(builder, "tilestored64", _tile(tile), place_of_sums(tile), out_row)


# Two tiles of rows and one panel, or one tile and two panels: four tiles of sums either way.
_tall_block, _wide_block, _small_block = (
    generated(partial(_generate_block, *shape)) for shape in ((2, 1), (1, 2), (1, 1))
)


@inline
def multiply_tiles(arguments: tuple[Any, ...]) -> None:
    """Does what ``matmul.multiply`` does, for bfloat16 with AMX; without AMX it does nothing."""
    m, n, words, left, left_row, right, out, out_row, backwards, adds = arguments
    configured = min(m, 2 * TILE_ROWS)
    steps = words * 2 // TILE_DEPTH
    panel = steps * PANEL_STEP_BYTES
    # Rows outside: the left rows of a block stay in the cache for all columns.
    for row in range(0, m, 2 * TILE_ROWS):
        rows, start = min(m - row, 2 * TILE_ROWS), left + row * left_row
        sums, done = out + row * out_row, 0
        if rows != configured:
            configure_tiles(rows)
        while done < n:
            count = PANEL if rows > TILE_ROWS or n - done == PANEL else 2 * PANEL
            column = n - done - count if backwards else done
            place, packed = sums + column * WORD_BYTES, right + column // PANEL * panel
            if rows > TILE_ROWS:
                _tall_block(start, left_row, steps, packed, panel, place, out_row, adds)
            elif count > PANEL:
                _wide_block(start, left_row, steps, packed, panel, place, out_row, adds)
            else:
                _small_block(start, left_row, steps, packed, panel, place, out_row, adds)
            done += count
        if rows != configured:
            configure_tiles(m)
