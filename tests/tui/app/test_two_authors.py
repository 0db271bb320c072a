"""Two models write one text: the key that moves the weight, the edge, the ink, the words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from app_opened import Opened, opened
from app_script import on_a_loop, training
from rich.cells import cell_len
from saved_runs import at_the_table, make_run, tmp_root
from textual.widgets import Static

from model import events as ev
from model.commands import SetMix
from tui.screens.next_session import NextSession
from tui.view.ink import INKS, Ink
from tui.view.state import ViewState, Writing
from tui.widgets.frame import title_words
from tui.widgets.painted import row_width

AUTHORS = ev.AuthorsOpened(names=("kant", "hamlet"), symbols=90, lacking=((), ("é", "\n", "漢")))
WEIGHTS = ev.WeightsOpened(
    step=40, nats_per_character=1.3, best=True, last_step=40, run_ended="completed"
)
RATIOS = (math.inf, 2.0, 0.5, -2.0, -9.0, -math.inf)


def written(text: str, ratios: Sequence[float | None]) -> list[ev.CharacterWritten]:
    return [
        ev.CharacterWritten(
            character=character, probability=0.5, entropy=1.0, candidates=(), log_ratio=ratio
        )
        for character, ratio in zip(text, ratios, strict=True)
    ]


def mixing(mix: float = 0.3) -> tuple[ev.Event, ...]:
    ended = ev.TrainingStateChanged(state="finished")
    return (*training(), WEIGHTS, ended, AUTHORS, ev.MixApplied(mix=mix))


def sent(it: Opened) -> list[float]:
    return [each.mix for each in it.session.commands if isinstance(each, SetMix)]


@on_a_loop
async def test_the_keys_move_the_weight_in_steps_and_stop_at_the_ends() -> None:
    async with opened(*mixing(0.9), trains=False, two_authors=True) as it:
        await it.press("}", "}", "}", "{")
        assert sent(it) == [0.95, 1.0, 1.0, 0.95]
        assert "kant 10% · hamlet 90%" in it.app.main_screen.title_edge.plain
        await it.say(ev.MixApplied(mix=0.95))
        assert "kant 5% · hamlet 95%" in it.app.main_screen.title_edge.plain


@on_a_loop
async def test_the_weight_moves_by_mouse_and_by_palette_too() -> None:
    async with opened(*mixing(), trains=False, two_authors=True) as it:
        bar = it.app.main_screen.key_bar
        x = bar.plain.index("}")
        await it.pilot.click(bar, offset=(x, 0))
        await it.until(lambda: sent(it) == [0.35])
        titles = [command.title for command in it.app.get_system_commands(it.app.screen)]
        assert {"More of the first model ({)", "More of the second model (})"} <= set(titles)


@on_a_loop
async def test_one_model_has_no_such_keys() -> None:
    async with opened(*training()) as it:
        assert not [key for key in it.app.acting_keys if key.id.startswith("mix.")]
        await it.press("}")
        assert sent(it) == []
        assert any("One model writes" in toast for toast in it.toasts())
        inks = set()
        for _ in INKS:
            await it.press("c")
            inks.add(it.app.pane.ink.kind)
        assert inks == {"off", "surprise", "novelty", "unit"}


@on_a_loop
async def test_what_a_model_lacks_is_said_and_stays_in_the_list_of_events() -> None:
    async with opened(*mixing(), trains=False, two_authors=True, size=(120, 40)) as it:
        sentence = "hamlet lacks 3 of the 90 symbols: é U+000A 漢"
        assert sentence in it.toasts()
        await it.press("6")
        it.app.draw_all()
        await it.pilot.pause()
        assert "lacks 3 of the 90" in " ".join(it.app.main_screen.events_pane.plain.split())


@on_a_loop
async def test_the_text_is_coloured_by_who_speaks_unless_the_line_is_slow() -> None:
    for slow in (False, True):
        async with opened(
            *mixing(), *written("abcdef", RATIOS), trains=False, two_authors=True,
            low_bandwidth=slow,
        ) as it:  # fmt: skip
            ink = it.app.pane.ink
            assert ink.kind == ("off" if slow else "author")
            position = it.app.pane.transcript.position
            styles = [ink.style_at(position - 6 + place, "author") for place in range(6)]
            assert styles == [f"author-{level}" for level in (0, 1, 2, 3, 4, 4)]


def test_where_one_model_wrote_there_is_no_author() -> None:
    ink = Ink()
    ink.add(0, written("ab", (None, 2.0)))
    assert [ink.style_at(place, "author") for place in range(2)] == [None, "author-1"]


@pytest.mark.parametrize("width", [40, 44, 60, 80, 120, 200])
@pytest.mark.parametrize(
    "names", [("kant", "hamlet"), ("a" * 64, "b" * 64), ("漢" * 30, "x"), ("\x1b[31m[b]", "é")]
)
@pytest.mark.parametrize("ink", ["", "author"])
def test_the_edge_shows_both_shares_at_any_width(
    width: int, names: tuple[str, str], ink: str
) -> None:
    state = ViewState(
        authors=ev.AuthorsOpened(names=names, symbols=9, lacking=((), ())), writing=Writing(mix=0.3)
    )
    row = title_words(state, 0.7, width, ink=ink, ascii_only=False)
    words = "".join(text for text, _ in row)
    assert row_width(row) == cell_len(words) <= width - 6
    assert " 70% · " in words
    assert " 30%" in words
    assert "\x1b" not in words
    if width >= 80 and names == ("kant", "hamlet"):
        assert "kant 70% · hamlet 30%" in words


@on_a_loop
async def test_the_edge_is_in_ascii_where_all_is() -> None:
    async with opened(*mixing(), trains=False, two_authors=True, ascii=True, size=(40, 10)) as it:
        edge = it.app.main_screen.title_edge.plain
        assert edge.isascii()
        assert "kant 70% | hamlet 30%" in edge


@on_a_loop
async def test_two_runs_of_the_list_write_one_text() -> None:
    root = tmp_root()
    make_run(root, "one", 2.0)
    make_run(root, "two", 1.5)
    make_run(root, "bare")
    async with opened(*training(), root=root) as it:
        screen = await at_the_table(it)
        order = [run.name for run in screen.runs]
        note = screen.query_one("#runs-note", Static)
        await it.press("m")
        assert "Mark one run" in str(note.content)
        for _ in range(order.index("one")):
            await it.press("down")
        await it.press("space", "m")
        assert it.app.successor is None, "one run is not two"
        for key in ["up"] * order.index("one") + ["down"] * order.index("bare"):
            await it.press(key)
        await it.press("m")
        assert "bare has no checkpoint" in str(note.content)
        for key in ["up"] * order.index("bare") + ["down"] * order.index("two"):
            await it.press(key)
        await it.press("m")
        assert it.app.successor == NextSession(kind="mix", run="one", second="two")


@on_a_loop
async def test_two_runs_are_marked_and_mixed_with_the_mouse() -> None:
    root = tmp_root()
    make_run(root, "one", 2.0)
    make_run(root, "two", 1.5)
    async with opened(*training(), root=root) as it:
        screen = await at_the_table(it)
        dialog = screen.query_one(".dialog")
        y = dialog.region.bottom - 1
        edge = "".join(segment.text for segment in it.app.screen._compositor.render_strips()[y])
        await it.pilot.click(offset=(edge.index("space"), y))
        await it.press("down")
        await it.pilot.click(offset=(edge.index("m mixes"), y))
        first, second = (run.name for run in screen.runs)
        assert it.app.successor == NextSession(kind="mix", run=first, second=second)


@on_a_loop
async def test_two_marked_runs_write_one_text_wherever_the_cursor_is() -> None:
    root = tmp_root()
    make_run(root, "a-run", 2.0)
    make_run(root, "two", 1.5)
    async with opened(*training(), root=root) as it:
        screen = await at_the_table(it)
        await it.press("space", "down", "space", "m")
        first, second = (run.name for run in screen.runs)
        assert it.app.successor == NextSession(kind="mix", run=first, second=second)
