"""The curves of several runs in one chart, and whether they can be compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from app_opened import Opened, opened
from app_script import on_a_loop, training
from model_fixtures import TINY_TRAINING, make_checkpoint
from saved_runs import at_the_table, make_run, tmp_root
from textual.containers import Vertical

from model.runs.folder import RunFolder
from model.runs.summary import summary_of
from tui.screens.compare_screen import (
    PAINTS,
    SIGNS,
    ComparedRun,
    CompareScreen,
    difference_words,
    legend_rows,
    some_of,
)
from tui.widgets.painted import Painted, row_width


async def compared(it: Opened, runs: int) -> CompareScreen:
    """Marks the first runs of the table and compares them."""
    await at_the_table(it)
    for _ in range(runs):
        await it.press("space", "down")
    await it.press("c")
    screen = it.app.screen
    assert isinstance(screen, CompareScreen)
    await it.until(lambda: bool(screen.legend.plain))
    return screen


def loaded(folder: RunFolder) -> ComparedRun:
    return ComparedRun(summary=summary_of(folder), points=((1.0, 2.0), (2.0, 1.5)))


def plain(it: Opened) -> str:
    """Returns what the whole screen shows."""
    lines = it.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in lines)


@on_a_loop
async def test_marked_runs_are_drawn_in_braille_with_a_sign_for_each() -> None:
    root = tmp_root()
    make_run(root, "one", 2.0, 1.5, 1.4)
    make_run(root, "two", 2.5, 1.9)
    async with opened(*training(), root=root) as it:
        screen = await compared(it, 2)
        legend = screen.legend.plain.splitlines()
        assert sorted(row[2:] for row in legend) == ["one  best 1.4000", "two  best 1.9000"]
        await it.until(lambda: "⠉" in plain(it) or "⠒" in plain(it))
        shown = plain(it)
        rows = [row for row in shown.splitlines() if "┫" in row]
        assert all(any(sign in row.partition("┫")[2] for row in rows) for sign in "ox")
        assert "2.0" in shown
        assert "2.5 ┫" not in shown, "2.5 is too far above the best"
        assert "Different" not in shown


@on_a_loop
async def test_the_chart_follows_the_size_and_the_theme() -> None:
    root = tmp_root()
    make_run(root, "one", 2.0, 1.5, 1.4)
    async with opened(*training(), root=root) as it:
        screen = await compared(it, 1)
        for columns, rows in ((120, 40), (60, 16), (40, 10)):
            await it.pilot.resize_terminal(columns, rows)
            await it.until(
                lambda: (
                    screen.chart.canvas_size is not None
                    and 0 < screen.chart.size.width - screen.chart.canvas_size.width < 12
                    and "┫" in plain(it)
                )
            )
        before = screen.chart._plot
        assert before is not None

        def style() -> str:
            assert before is not None
            return str(getattr(before._datasets[0], "line_style", ""))

        dark = style()
        it.app.theme = "textual-light"
        await it.until(lambda: style() not in {"", dark})


@on_a_loop
async def test_ascii_stays_ascii() -> None:
    root = tmp_root()
    make_run(root, "one", 2.0, 1.5, 1.4)
    async with opened(*training(), root=root, ascii=True) as it:
        screen = await compared(it, 1)
        words = screen.chart.query_one("#chart-words", Painted)
        await it.until(lambda: "1.40 |" in words.plain)
        assert words.plain.isascii()
        assert "o" in words.plain


@on_a_loop
async def test_runs_without_validations_say_so() -> None:
    root = tmp_root()
    make_run(root, "one", 2.0)
    async with opened(*training(), root=root) as it:
        screen = await compared(it, 1)
        words = screen.chart.query_one("#chart-words", Painted)
        await it.until(lambda: "There are no two validations to compare yet." in words.plain)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((40, 10), "Different texts: not comparable."),
        ((80, 24), "Different texts (ode, poem): their losses cannot be compared."),
        ((120, 40), "Different texts (ode, poem): their losses cannot be compared."),
    ],
)
@on_a_loop
async def test_runs_on_different_texts_are_said_to_be_so(size: tuple[int, int], words: str) -> None:
    root = tmp_root()
    for name, text in (("a", "poem"), ("b", "poem"), ("c", "ode")):
        make_run(root, name, 2.0, 1.5, text=text)
    async with opened(*training(), root=root, size=size) as it:
        screen = await compared(it, 3)
        await it.until(lambda: words in plain(it) and "┫" in plain(it))
        in_border = words in str(screen.query_one(Vertical).border_subtitle)
        assert in_border != (words in screen.legend.plain), "once"


def test_the_line_names_texts_only_where_they_differ_and_fit(tmp_path: Path) -> None:
    one, two = (loaded(make_run(tmp_path, name, 2.0, text="poem")) for name in ("1", "2"))
    other = loaded(make_run(tmp_path, "3", 2.0, text="o" * 300))
    assert difference_words([one, two], 100) is None
    assert difference_words([one], 100) is None
    words = difference_words([one, other], 100)
    assert words is not None
    assert words.startswith("Different texts (poem, ooo")
    assert "ooo…): " in words
    for width in (80, 60, 40, 20):
        words = difference_words([one, other], width)
        assert words is not None
        assert len(words) <= max(width, 32)


def test_another_held_out_part_is_not_comparable_either(tmp_path: Path) -> None:
    one = loaded(make_run(tmp_path, "1", 2.0))
    folder = make_run(tmp_path, "2", 2.0)
    made = make_checkpoint(9, nats=1.0, training=replace(TINY_TRAINING, validation_fraction=0.3))
    source = one.summary.checkpoints[0].metadata.source
    folder.checkpoints.save(replace(made, metadata=replace(made.metadata, source=source)))
    words = difference_words([one, loaded(folder)], 100)
    assert words == "Different held-out parts or scoring: their losses cannot be compared."


def test_a_run_without_a_checkpoint_says_nothing_about_its_text(tmp_path: Path) -> None:
    one, two = (loaded(make_run(tmp_path, name, 2.0, text=name)) for name in ("1", "2"))
    bare = replace(two, summary=replace(two.summary, checkpoints=()))
    assert difference_words([one, bare], 100) is None


def test_each_run_has_its_own_sign_and_paint() -> None:
    assert len(set(SIGNS)) == len(SIGNS) == len(set(PAINTS)) == len(PAINTS)


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("rows", [1, 3, 30])
def test_the_legend_fits_its_width(columns: int, rows: int, tmp_path: Path) -> None:
    names = ["tinyshakespeare-20261128-152433", "y" * 60, "実験" * 20, "z-1", "w", "v", "u", "t"]
    one = loaded(make_run(tmp_path, "one", 2.0))
    runs = [replace(one, summary=replace(one.summary, name=name)) for name in names]
    legend = legend_rows(runs, columns, rows)
    assert len(legend) == (8 if rows == 30 else max(-(-8 // (columns // 16)), min(rows, 8), 1))
    assert all(row_width(row) <= columns for row in legend)
    entries = [text for row in legend for text, _ in row]
    assert [entry[0] for entry in entries] == list(SIGNS)
    assert all(entry.rstrip().endswith("1.5000") for entry in entries)


def test_signs_leave_the_line_free_and_mark_its_end() -> None:
    points = [(float(number), 0.0) for number in range(1000)]
    assert 8 <= len(some_of(points, 80)) <= 10
    assert points[-1] in some_of(points, 80)
    assert len(some_of(points[:3], 80)) == 3
    assert some_of(points, 0)[0] == points[-1]
