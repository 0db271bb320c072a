"""The width of characters in cells, where terminals and tables disagree.

For a vowel sign of Devanagari, Rich counts 0 cells, but the C library and tmux count 1. For a skin
tone they count 0 and 2. A line that is counted too short overruns its border and is cut. A line
that is counted too long only leaves a gap. So this module uses the larger width.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from typing import Final

import rich.cells
from rich._unicode_data import load
from rich.cells import CellTable, get_character_cell_size

_TONES: Final = range(0x1F3FB, 0x1F400)
_WIDE_MARKS: Final = (0x302E, 0x302F, 0x16FF0, 0x16FF1)
_WIDER: Final = {
    **{
        code: 2 if code in _WIDE_MARKS else 1
        for code in range(0x300, 0x20000)
        if unicodedata.category(chr(code)) == "Mc"
    },
    **dict.fromkeys(_TONES, 2),
    **dict.fromkeys(range(0x3248, 0x3250), 2),  # circled numbers
    0x3164: 2,  # fillers of Hangul
    0xFFA0: 1,
}
"""Widths of code points for which Rich 15 has a smaller width than the C library."""
_WIDE_SINCE_UNICODE_16: Final = "\u2630-\u2637\u268a-\u268f\u4dc0-\u4dff\U0001d300-\U0001d376"

DISPUTED: Final = re.compile(f"[{''.join(map(chr, _WIDER))}{_WIDE_SINCE_UNICODE_16}]")
"""Matches a character whose width differs between terminals."""


def cells_of(character: str) -> int:
    """Returns the largest number of cells that a terminal gives a character."""
    wider = _WIDER.get(ord(character))
    return get_character_cell_size(character) if wider is None else wider


def joins(character: str) -> bool:
    """Tells whether a character that takes cells is drawn onto the one before it."""
    code = ord(character)
    return code in _WIDER and (code in _TONES or unicodedata.category(character) == "Mc")


def count_larger_widths() -> None:
    """Makes Rich, and therefore Textual, use the larger widths. It may be called repeatedly."""
    table = load("auto")
    if all(get_character_cell_size(chr(code)) == width for code, width in _WIDER.items()):
        return
    larger = CellTable(table.unicode_version, _with_larger(table), table.narrow_to_wide)
    # Not part of Rich's public interface; a test checks that it still works.
    vars(rich.cells)["load_cell_table"] = lambda _version: larger
    get_character_cell_size.cache_clear()
    rich.cells.cached_cell_len.cache_clear()


def _with_larger(table: CellTable) -> list[tuple[int, int, int]]:
    """Returns a table's ranges, split at the code points that are wider here."""
    codes = sorted(_WIDER)
    ranges = [(code, code, width) for code, width in _WIDER.items()]
    for start, end, width in table.widths:
        first = start
        for code in codes[bisect_left(codes, start) :]:
            if code > end:
                break
            if first < code:
                ranges.append((first, code - 1, width))
            first = code + 1
        if first <= end:
            ranges.append((first, end, width))
    return sorted(ranges)
