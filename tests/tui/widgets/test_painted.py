"""Which cells of a row are sent again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.widgets.painted import Row, changed_cells

PARTS = st.tuples(st.text("ab漢━ ", max_size=6), st.sampled_from(["label", "value"]))
ROWS = st.lists(PARTS, max_size=5).map(tuple)


def cells(row: Row, width: int) -> list[tuple[str, str]]:
    """Returns what stands in each cell; the second one of a wide character is empty."""
    found = [
        (piece, paint)
        for text, paint in row
        for character in text
        for piece in (character, *[""] * (cell_len(character) - 1))
    ]
    return [*found, *[(" ", "")] * width][:width]


@given(old=ROWS, new=ROWS, width=st.integers(1, 40))
def test_the_cells_that_are_not_sent_are_the_same(old: Row, new: Row, width: int) -> None:
    before, after = cells(old, width), cells(new, width)
    first, end = changed_cells(old, new, width)
    assert 0 <= first <= width
    assert end <= width
    outside = [place for place in range(width) if not first <= place < end]
    assert [before[place] for place in outside] == [after[place] for place in outside]


def test_only_what_differs_is_sent() -> None:
    old: Row = (("step ", "label"), ("1 234", "value"), (" of 9", "label"))
    new: Row = (("step ", "label"), ("1 244", "value"), (" of 9", "label"))
    assert changed_cells(old, new, 80) == (8, 9)
    assert changed_cells(old, old, 80) == (0, 0)
    assert changed_cells(old, new[:2], 80) == (8, 80)
    assert changed_cells((), new, 80) == (0, 80)


def test_another_paint_is_a_difference() -> None:
    assert changed_cells((("ab", "label"),), (("ab", "value"),), 9) == (0, 2)


def test_where_a_character_takes_no_cell_the_row_is_sent_whole() -> None:
    assert changed_cells((("ab", "label"),), (("abe\u0301c", "label"),), 9) == (0, 9)
