"""Foreign text in every place that shows it: what then goes to the terminal, byte for byte.

Each payload goes through all panes, edges, dialogs, tables and notes of the app, with the wall
before the driver and without it, so that what makes text printable at the entrance is shown to be
enough. The wall alone is shown to be enough, too, for widgets that nobody protects.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import category

import pytest
from app_opened import Opened
from app_script import on_a_loop, race_started, training
from hostile_text import PAYLOADS, unsafe_characters
from model_fixtures import make_checkpoint
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import App, ComposeResult
from textual.color import Color
from textual.content import Content
from textual.widgets import Button, DataTable, Input, Label, Log, RichLog, Static, TextArea
from wire import assert_harmless, on_a_wire, opened_on_a_wire, take_wire

from model import events as ev
from model.runs.checkpoint_file import write_checkpoint
from tui.config.acting_keys import keys_of
from tui.screens.alternatives import AlternativesScreen
from tui.screens.compare_screen import CompareScreen
from tui.screens.entry import FindEntry, SafeInput, TemperatureEntry
from tui.screens.prompt_entry import PromptEntry
from tui.screens.runs_screen import DeleteQuestion, RunsScreen
from tui.terminal.wall import ForeignTextWall

EVERYTHING = "".join(map(chr, range(0x110000)))


# --- the app, all of it ---------------------------------------------------------------------------


def foreign_events(text: str) -> list[ev.Event]:
    """Returns events with the text in every field that an outsider can fill."""
    run = training(0)[1]
    assert isinstance(run, ev.RunStarted)
    first = text[:1] or "x"
    candidate = ev.Candidate(character=first, probability=0.5)
    distribution = ev.AdjustedCandidate(character=first, probability=0.5, adjusted=0.5)
    return [
        ev.Preparing(stage=text, fraction=0.5),
        replace(run, run=text, corpus=text, preset=text, device=text, precision=text),
        ev.CheckpointSaved(time=1.0, step=1, path=text, best=True),
        ev.SampleRecorded(
            time=1.0, step=1, epoch=1, temperature=0.5, seed=1, prompt=text, text=text
        ),
        ev.WarningRaised(time=1.0, text=text),
        ev.WritingRestarted(seed=1, prompt=text, note=text),
        *(
            ev.CharacterWritten(
                character=character, probability=0.5, entropy=1.0, candidates=(candidate,)
            )
            for character in text
        ),
        ev.WritingRewound(back=1, text=text, forked=True),
        ev.NextDistribution(candidates=(distribution,), entropy=1.0, adjusted_entropy=1.0, kept=1),
        race_started(0.2, 0.5, 1.0, 1.2, prompt=text),
        ev.LanesWritten(characters=(first, "x", first, first)),
        ev.ReferencesMeasured(bits_per_character=((text, 2.0),)),
        ev.UnitsRanked(units=(ev.RankedUnit(feature=text, layer=0, unit=1, correlation=0.5),)),
        ev.WritingHeld(held=True),
    ]


def actions_under_the_mouse(it: Opened) -> set[str]:
    """Returns every action that a click somewhere on the screen would run."""
    columns, rows = it.app.size
    metas = (it.app.screen.get_style_at(x, y).meta for y in range(rows) for x in range(columns))
    return {str(meta["@click"]) for meta in metas if "@click" in meta}


async def visit_every_place(it: Opened, text: str) -> str:
    """Shows the text everywhere and returns what went to the terminal."""
    await it.say(*foreign_events(text))
    await it.press("c", "c", "c", "h")  # ink by a unit: its name in the title and in a toast
    it.app.draw_title()
    await it.pilot.pause()
    screens: list[Any] = [
        AlternativesScreen(
            tuple(it.app.main_screen.feed.past.characters), lambda _: 0, ascii_only=False
        ),
        PromptEntry(text, None),
        FindEntry(text),
        TemperatureEntry(1.0),
    ]
    for screen in screens:
        it.app.push_screen(screen)
        await it.pilot.pause()
        fields = list(screen.query(SafeInput))
        if fields:
            fields[0].value = text
            await it.press("enter")  # a temperature that is none is repeated in the answer
        if it.app.screen is screen:
            screen.dismiss(None)
        await it.pilot.pause()
    it.app.main_screen.sought = text
    it.app.main_screen.action_find_next(1)
    await it.say(ev.WorkerCrashed(worker="trainer", sentence=text, traceback=text))
    return take_wire(it.app)


async def show_everywhere(payloads: Sequence[str], *, wall: bool) -> None:
    """Shows each payload in every place and looks at every byte that went to the terminal."""
    known = {key.action for key in keys_of({})}
    async with opened_on_a_wire(*training(), wall=wall) as it:
        await it.press("3", "4", "5", "6")
        assert_harmless(take_wire(it.app))
        for payload in payloads:
            wire = await visit_every_place(it, payload)
            assert len(wire) > 1000, "the places were drawn"
            assert_harmless(wire)
            if "@click" in payload:
                actions = actions_under_the_mouse(it)
                assert actions <= known
            it.app._notifications.clear()
            assert it.app.is_running


@pytest.mark.parametrize("wall", [True, False], ids=["with the wall", "without the wall"])
@on_a_loop
async def test_payloads_do_not_reach_the_terminal_from_any_place(wall: bool) -> None:
    await show_everywhere(PAYLOADS[3 if wall else 1 :: 16], wall=wall)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("wall", [True, False], ids=["with the wall", "without the wall"])
@on_a_loop
async def test_no_payload_reaches_the_terminal_from_any_place(wall: bool) -> None:
    await show_everywhere(PAYLOADS, wall=wall)


NOBODYS = frozenset({"Cn", "Co"})
"""Unassigned and private code points: a million that are alike, of which some stand for all."""
AT_ONCE = 8
"""Code points that may do something; few enough for the narrowest place."""
OTHERS_AT_ONCE = 4096


def unsafe_code_points() -> str:
    """Returns all that may do something, and every 509th of those that are nobody's."""
    unsafe = sorted(unsafe_characters(EVERYTHING))
    nobodys = [character for character in unsafe if category(character) in NOBODYS]
    return "".join(sorted((set(unsafe) - set(nobodys)) | set(nobodys[::509])))


def blocks_of(characters: str, size: int) -> list[str]:
    return [characters[start : start + size] for start in range(0, len(characters), size)]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@on_a_loop
async def test_no_unsafe_code_point_reaches_the_terminal_from_any_place() -> None:
    tried = unsafe_code_points()
    assert len(tried) > 4000
    await show_everywhere([block + "x" for block in blocks_of(tried, AT_ONCE)], wall=False)
    print(f"{len(tried)} unsafe code points in every place: 0 on the wire")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@on_a_loop
async def test_all_other_code_points_go_through_every_place() -> None:
    tried = set(unsafe_code_points())
    others = "".join(character for character in EVERYTHING if character not in tried)
    await show_everywhere(blocks_of(others, OTHERS_AT_ONCE), wall=False)
    print(f"{len(others)} other code points in every place: 0 control characters on the wire")


@pytest.mark.parametrize("payload", PAYLOADS[::9], ids=ascii)
@on_a_loop
async def test_no_title_prompt_or_theme_reaches_the_terminal(payload: str) -> None:
    settings: dict[str, Any] = {"title": payload, "prompt": payload, "theme": payload}
    async with opened_on_a_wire(wall=False, **settings) as it:
        await it.say(ev.Preparing(stage="reading"))
        await it.press("i")
        await it.pilot.pause()
        wire = take_wire(it.app)
        assert "charlm-tui" in wire
        assert_harmless(wire)


def hostile_run(root: Path, number: int, payload: str) -> None:
    name = f"{number}-" + payload.replace("/", "").replace("\0", "")
    folder = root / name.encode("utf-8", "replace")[:200].decode("utf-8", "ignore")
    folder.mkdir(parents=True)
    made = make_checkpoint(step=number + 1, nats=1.0)
    write_checkpoint(folder / f"step-{number + 1:08}.safetensors", made)
    description = json.dumps({"corpus": {"name": payload}})
    (folder / "run.json").write_text(description, encoding="utf-8")


@on_a_loop
async def test_no_name_of_a_run_reaches_the_terminal() -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        for number, payload in enumerate(PAYLOADS[::4]):
            hostile_run(root, number, payload)
        async with opened_on_a_wire(*training(), wall=False, root=root) as it:
            await it.press("o")
            screen = it.app.screen
            assert isinstance(screen, RunsScreen)
            table = screen.query_one(DataTable)
            await it.until(lambda: table.row_count == len(PAYLOADS[::4]))
            for _ in range(4):
                await it.press("space", "down")
            await it.press("c")
            await it.until(lambda: isinstance(it.app.screen, CompareScreen))
            await it.press("escape", "d")
            await it.until(lambda: isinstance(it.app.screen, DeleteQuestion))
            await it.pilot.pause()
            wire = take_wire(it.app)
            assert "best nats" in wire
            assert_harmless(wire)


# --- the wall alone -------------------------------------------------------------------------------


class Unprotected(App[None]):
    """Shows foreign text in the ways that this program must not: as it is."""

    def __init__(self) -> None:
        super().__init__()
        self._filters.append(ForeignTextWall())

    def compose(self) -> ComposeResult:
        yield Static(id="static")
        yield Label(Content(""), id="label")
        yield Button(Content(""), id="button")
        yield Log(id="log")
        yield RichLog(id="rich-log", markup=False)
        yield Input(id="input")
        yield TextArea(id="area")
        yield DataTable(id="table")

    def show(self, text: str) -> None:
        self.query_one("#static", Static).update(Content(text))
        self.query_one("#label", Label).update(Text(text, style="link http://owned"))
        self.query_one("#button", Button).label = Content(text)
        self.query_one("#log", Log).write(text)
        self.query_one("#rich-log", RichLog).write(Text(text))
        self.query_one("#input", Input).value = text
        self.query_one("#area", TextArea).text = text
        table = self.query_one("#table", DataTable)
        table.clear(columns=True)
        table.add_column(Text(text))
        table.add_row(Text(text))
        self.notify(text, markup=False)


@on_a_loop
async def test_the_wall_alone_keeps_every_payload_from_the_terminal() -> None:
    app = on_a_wire(Unprotected())
    async with app.run_test(size=(100, 80), notifications=True) as pilot:
        for payload in PAYLOADS:
            app.show(payload)
            await pilot.pause()
            wire = take_wire(app)
            assert len(wire) > 100
            assert_harmless(wire)
            app._notifications.clear()


@on_a_loop
async def test_without_the_wall_such_widgets_let_payloads_through() -> None:
    """So that the test above cannot pass for want of anything to stop."""
    app = on_a_wire(Unprotected())
    app._filters.pop()
    async with app.run_test(size=(100, 80)) as pilot:
        app.show(PAYLOADS[1])
        await pilot.pause()
        with pytest.raises(AssertionError):
            assert_harmless(take_wire(app))


def test_the_wall_lets_no_code_point_through_and_keeps_the_width() -> None:
    wall = ForeignTextWall()
    for start in range(0, len(EVERYTHING), 80):
        line = [Segment(EVERYTHING[start : start + 80], Style(bold=True))]
        made = wall.apply(line, Color(0, 0, 0))
        assert not unsafe_characters("".join(segment.text for segment in made))
        assert sum(segment.cell_length for segment in made) == line[0].cell_length


def test_the_wall_leaves_ordinary_lines_alone_and_takes_links_away() -> None:
    wall, black = ForeignTextWall(), Color(0, 0, 0)
    line = [Segment("╭─ Жук 漢字 ❤ 👩ⒷⓇ◑ हि ⣀⣤ \xa0 ─╮", Style(bold=True)), Segment("plain")]
    assert wall.apply(line, black) is line
    (linked,) = wall.apply([Segment("x", Style(bold=True, link="http://owned"))], black)
    assert linked.style is not None
    assert (linked.text, linked.style.link, linked.style.bold) == ("x", None, True)
