"""The width of characters in cells, where terminals and tables disagree.

For a vowel sign of Devanagari, Rich counts 0 cells, but the C library and tmux count 1, and kitty
counts 1 for two consonants that a virama joins. A line that is counted too short overruns its
border and is cut. A line that is counted too long only leaves a gap. So this module uses the larger
width, and that of its stand-in for a code point that is never drawn (``tui.clusters``).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Final

import rich.cells
from rich._unicode_data import load
from rich.cells import CellTable, get_character_cell_size

from tui.clusters import JOINING, STAND_INS, is_mark

_CIRCLED_NUMBERS: Final = range(0x3248, 0x3250)
_OURS: Final = {
    **{ord(sign): 1 for sign in JOINING if not is_mark(sign)},
    **dict.fromkeys(_CIRCLED_NUMBERS, 2),
    **{ord(key): get_character_cell_size(shown) for key, shown in STAND_INS.items() if shown},
}
"""Widths of code points for which Rich 15 has another width than the C library or our stand-in."""
_WIDE_SINCE_UNICODE_16: Final = "\u2630-\u2637\u268a-\u268f\u4dc0-\u4dff\U0001d300-\U0001d376"

_DISPUTED: Final = re.compile(
    f"[{''.join((*JOINING, *map(chr, _CIRCLED_NUMBERS)))}{_WIDE_SINCE_UNICODE_16}]"
)


def is_disputed(text: str) -> bool:
    """Tells whether terminals differ on the cells of a drawn text."""
    return not text.isascii() and _DISPUTED.search(text) is not None


def cells_of(character: str) -> int:
    """Returns the largest number of cells that a terminal gives a character."""
    ours = _OURS.get(ord(character))
    return get_character_cell_size(character) if ours is None else ours


def width_of(text: str) -> int:
    """Returns the cells that a drawn text takes."""
    return len(text) if text.isascii() else sum(map(cells_of, text))


def count_our_widths() -> None:
    """Makes Rich, and therefore Textual, use these widths. It may be called repeatedly."""
    table = load("auto")
    if all(get_character_cell_size(chr(code)) == width for code, width in _OURS.items()):
        return
    ours = CellTable(table.unicode_version, _with_ours(table), table.narrow_to_wide)
    # Not part of Rich's public interface; a test checks that it still works.
    vars(rich.cells)["load_cell_table"] = lambda _version: ours
    get_character_cell_size.cache_clear()
    rich.cells.cached_cell_len.cache_clear()


def _with_ours(table: CellTable) -> list[tuple[int, int, int]]:
    """Returns a table's ranges, split at the code points that have another width here."""
    codes = sorted(_OURS)
    ranges = [(code, code, width) for code, width in _OURS.items()]
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
