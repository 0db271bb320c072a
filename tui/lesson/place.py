"""Where the lesson stands: beside the app, or above it on a narrow or low terminal. Pure."""

from __future__ import annotations

from typing import Final, Literal

Place = Literal["beside", "above", "line"]
"""In columns at the right, in rows below the header, or in two such rows."""

MIN_COLUMNS_BESIDE: Final = 70
MIN_ROWS_BESIDE: Final = 18
COLUMNS: Final = ((160, 50), (110, 42), (0, 34))
"""Width of the terminal from which the pane has that many columns; ``app.tcss`` has them, too."""
ROWS: Final[dict[Place, int]] = {"above": 7, "line": 2}


def place_in(room: tuple[int, int]) -> Place:
    """Returns the place of the lesson in a terminal of these columns and rows."""
    columns, rows = room
    if rows < MIN_ROWS_BESIDE:
        return "line"
    return "beside" if columns >= MIN_COLUMNS_BESIDE else "above"


def room_left(room: tuple[int, int]) -> tuple[int, int]:
    """Returns the columns and rows that the lesson leaves to the app."""
    columns, rows = room
    place = place_in(room)
    if place == "beside":
        return columns - next(width for least, width in COLUMNS if columns >= least), rows
    return columns, rows - ROWS[place]
