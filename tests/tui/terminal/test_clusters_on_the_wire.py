"""The whole app on two simulated terminals, one for each way to count: every cell in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from app_opened import Opened
from app_script import characters, on_a_loop, training
from cell_terminals import CLUSTERS, CODE_POINTS, CellTerminal, Counting
from foreign_clusters import EXAMPLES
from textual.geometry import Size
from wire import opened_on_a_wire, take_wire

from model import events as ev
from tui.clusters import clusters_of
from tui.widths import is_disputed, width_of

COUNTINGS = pytest.mark.parametrize("counting", [CODE_POINTS, CLUSTERS], ids=lambda it: it.name)
SIZES = pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40)], ids=str)
WORDS = "".join(f"{text} " if index % 3 else text for index, text in enumerate(EXAMPLES))
WILD = "🏽🏽🏽🏽🏽🏽🏽🏽🏽🏽\u200d🇧\u200d\u200d🇷🇧\ufe0f\ufe0f1\u20e3\u20e3\u20e3" + "".join(
    EXAMPLES[::-1]
)


def planned_rows(it: Opened) -> list[list[tuple[int, str]]]:
    """Returns the clusters of each row as the app means them, each with its column."""
    rows = []
    for strips in it.app.screen._compositor.render_strips(Size(*it.app.size)):
        text = "".join(segment.text for segment in strips)
        places, column = [], 0
        for cluster in clusters_of(text):
            places.append((column, cluster))
            column += width_of(cluster)
        assert column == it.app.size.width, text
        rows.append(places)
    return rows


def assert_in_place(it: Opened, terminal: CellTerminal) -> None:
    """Asserts that each cluster stands in its cells, and nothing else on the screen."""
    assert terminal.overruns == []
    for y, planned in enumerate(planned_rows(it)):
        shown = [terminal.at(x, y) for x in range(terminal.columns)]
        for column, cluster in planned:
            cells = shown[column : column + width_of(cluster)]
            text = "".join(cells)
            assert text.rstrip() == cluster.rstrip(), (y, column, terminal.row(y))
            if not is_disputed(cluster):
                assert cells == [cluster, ""][: len(cells)]


async def write(it: Opened, terminal: CellTerminal, text: str, *, at_once: int = 1) -> None:
    """Writes a text in pieces; the screen is compared after every one."""
    for start in range(0, len(text), at_once):
        await it.say(*characters(text[start : start + at_once]))
        terminal.feed(take_wire(it.app))
        assert_in_place(it, terminal)


@COUNTINGS
@on_a_loop
async def test_a_cluster_grows_code_point_by_code_point(counting: Counting) -> None:
    async with opened_on_a_wire(*training(), size=(40, 10)) as it:
        terminal = CellTerminal(40, 10, counting)
        terminal.feed(take_wire(it.app))
        await write(it, terminal, WILD)


@COUNTINGS
@SIZES
@on_a_loop
async def test_every_key_that_draws_foreign_text(counting: Counting, size: tuple[int, int]) -> None:
    async with opened_on_a_wire(*training(), size=size) as it:
        terminal = CellTerminal(*size, counting)
        terminal.feed(take_wire(it.app))
        await write(it, terminal, WORDS * 6, at_once=40)
        for keys in KEYS:
            await it.press(*keys)
            await it.pilot.pause()
            terminal.feed(take_wire(it.app))
            assert_in_place(it, terminal)
        await write(it, terminal, WILD, at_once=7)


KEYS: Sequence[Sequence[str]] = (
    ["c"],  # ink of surprise
    ["up", "up", "pageup"],
    ["home"],
    ["end"],
    ["a"],  # alternatives
    ["left"] * 3,
    ["left"] * 9,
    ["escape"],
    ["slash"],
    ["🇧", "🇷"],
    ["enter"],
    ["n"],
    ["escape"],
    ["3"],
    ["4"],
    ["5"],
    ["6"],
)


@COUNTINGS
@on_a_loop
async def test_names_in_header_frame_events_and_samples(counting: Counting) -> None:
    run = training(0)[1]
    assert isinstance(run, ev.RunStarted)
    async with opened_on_a_wire(*training(), size=(120, 40)) as it:
        terminal = CellTerminal(120, 40, counting)
        for text in EXAMPLES:
            await it.say(
                replace(run, run=text, corpus=text, device=text),
                ev.WarningRaised(time=1.0, text=text * 9),
                ev.WritingRestarted(seed=1, prompt=text * 3, note=None),
                ev.SampleRecorded(
                    time=1.0, step=1, epoch=1, temperature=0.5, seed=1, prompt=text, text=text * 30
                ),
            )
        await it.press("4", "5")
        await it.pilot.pause()
        it.app.refresh(layout=True)
        await it.pilot.pause()
        terminal.feed(take_wire(it.app))
        assert_in_place(it, terminal)
