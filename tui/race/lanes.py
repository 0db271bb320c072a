"""The line-ups of the race, the names of lanes, and which lanes a width has room for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from model.config import NETWORKS, NGRAM_ORDERS, Lane, LaneKind, NetworkKind
from model.events import RaceLane

LineUp = Literal["temperatures", "ladder"]
LINE_UPS: Final[Mapping[LineUp, tuple[Lane, ...]]] = {
    # The temperatures of the classic notebook.
    "temperatures": tuple(
        Lane(model="live", temperature=temperature) for temperature in (0.2, 0.5, 1.0, 1.2)
    ),
    # In the order of what they know of the text, after Shannon (1948), part 3.
    "ladder": tuple(
        Lane(model=kind, temperature=1.0)
        for kind in ("order 0", "order 2", "order 5", "live", "best", "epoch", *NETWORKS)
    ),
}
"""The lanes of each line-up at the start of the program."""
MIN_COLUMNS: Final[Mapping[LineUp, int]] = {"temperatures": 11, "ladder": 16}
"""Minimum width of a lane in cells; that of the ladder holds ``T 1.00 2.31 bits``."""
SEPARATOR_COLUMNS: Final = 3
_FIRST_TO_LAST: Final[tuple[LaneKind, ...]] = (
    *("live", *NETWORKS, "order 5", "order 2", "order 0", "best", "epoch"),
)
"""A narrow pane shows the first ones of the ladder."""


def name_of(started: RaceLane, line_up: LineUp, network: NetworkKind) -> str:
    """Returns the short name of a lane; ``network`` is that of the live weights."""
    lane = started.lane
    if line_up == "temperatures":
        return f"T {lane.temperature:.2f}"
    if lane.model in NGRAM_ORDERS:
        return f"{NGRAM_ORDERS[lane.model]}-gram"
    if lane.model == "epoch":
        return f"epoch {started.epoch}"
    if lane.model == "best":
        return "best"
    return NETWORKS[network if lane.model == "live" else lane.model].title


def present(lanes: Sequence[RaceLane]) -> tuple[int, ...]:
    """Returns the numbers of the lanes that exist: n-grams are coming, other weights may never."""
    return tuple(
        number
        for number, started in enumerate(lanes)
        if started.is_written or started.lane.model in NGRAM_ORDERS
    )


def that_fit(
    lanes: Sequence[RaceLane], chosen: int, line_up: LineUp, columns: int
) -> tuple[int, ...]:
    """Returns the numbers of the lanes that are shown, at least one, from left to right.

    Args:
        lanes: all lanes of the race.
        chosen: the lane that is always shown.
        line_up: the line-up that they belong to.
        columns: width of the pane in cells.
    """
    room = max(1, (columns + SEPARATOR_COLUMNS) // (MIN_COLUMNS[line_up] + SEPARATOR_COLUMNS))
    by_rank = sorted(
        present(lanes),
        key=lambda number: (number != chosen, _FIRST_TO_LAST.index(lanes[number].lane.model)),
    )
    return tuple(sorted(by_rank[:room]))
