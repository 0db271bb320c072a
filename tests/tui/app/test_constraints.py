"""Constraints in the app: the dialog by key, mouse and palette, and the lower edge."""

from __future__ import annotations

import pytest
from app_opened import Opened, opened
from app_script import characters, on_a_loop, training
from textual.widgets import Input, Static

from corpus import Vocabulary
from model import events as ev
from model.commands import SetConstraints
from model.constraint_config import Constraints
from tui.screens.constraints_entry import ConstraintsEntry
from tui.view.state import Writing
from tui.widgets.frame import constraint_words

KNOWN = ev.VocabularyKnown(vocabulary=Vocabulary.from_symbols("\n abcdefgh"))


def sent(it: Opened) -> list[Constraints]:
    return [each.constraints for each in it.session.commands if isinstance(each, SetConstraints)]


def field(it: Opened, name: str) -> Input:
    return it.app.screen.query_one(f"#constraint-{name}", Input)


@on_a_loop
async def test_the_dialog_sets_changes_and_clears_constraints_while_the_text_streams() -> None:
    async with opened(*training(), KNOWN) as it:
        await it.press("C", "e", "down", "down", "h", "a", "enter")
        wished = Constraints(forbid="e", acrostic="ha")
        assert sent(it) == [wished]
        await it.say(ev.ConstraintsApplied(constraints=wished), *characters("had"))
        await it.press("C")
        assert (field(it, "forbid").value, field(it, "acrostic").value) == ("e", "ha")
        await it.press("backspace", "enter")
        assert sent(it)[1:] == [Constraints(acrostic="ha")]
        await it.press("C", "escape")
        await it.press("C")
        await it.pilot.click("#clear")
        await it.pilot.pause()
        assert sent(it)[2:] == [Constraints()]


@on_a_loop
async def test_a_mistake_is_named_and_the_dialog_stays_open_at_any_size() -> None:
    for size in ((80, 24), (40, 10)):
        async with opened(*training(), KNOWN, size=size) as it:
            await it.press("C", *"abcdefgh", "down", "down", "down", "0", "enter")
            assert isinstance(it.app.screen, ConstraintsEntry)
            note = it.app.screen.query_one("#constraints-note", Static)
            assert "character" in str(note.content) or "--line" in str(note.content)
            assert note.has_class("-wrong")
            for _ in range(3):
                await it.pilot.pause()
            assert note.region.bottom <= size[1]
            assert sent(it) == []


@on_a_loop
async def test_the_dialog_opens_by_the_palette_and_by_a_click_on_its_hint() -> None:
    async with opened(*training(), size=(200, 60)) as it:
        titles = [command.title for command in it.app.get_system_commands(it.app.screen)]
        assert "Constraints (C)" in titles
        row = it.app.main_screen.key_bar
        column = row.render_line(0).text.index("Rules")
        await it.pilot.click(row, offset=(column, 0))
        await it.pilot.pause()
        assert isinstance(it.app.screen, ConstraintsEntry)


@on_a_loop
async def test_what_cannot_be_obeyed_is_a_toast_and_the_dialog_shows_what_holds() -> None:
    async with opened(*training()) as it:
        await it.press("C", "a", "enter")
        note = "--forbid: leaves [b]nothing[/b]\x1b[2J; allow more"
        await it.say(ev.ConstraintsApplied(constraints=Constraints(forbid="q"), note=note))
        assert any("leaves [b]nothing" in toast for toast in it.toasts())
        assert "\x1b" not in "".join(it.toasts())
        await it.press("C")
        assert field(it, "forbid").value == "q"


@on_a_loop
@pytest.mark.parametrize("size", [(80, 24), (40, 10)], ids=["80x24", "40x10"])
async def test_the_lower_edge_says_what_a_line_cost(size: tuple[int, int]) -> None:
    async with opened(*training(), size=size) as it:
        constraints = Constraints(forbid="e", line_length=(32, 40))
        await it.say(ev.ConstraintsApplied(constraints=constraints))
        written = ev.CharacterWritten(
            character="a", probability=0.5, entropy=1.0, candidates=(), mask_bits=0.12
        )
        await it.say(written, ev.LineDrafted(kept=3, drafts=64, cost=0.31))
        edge = it.app.main_screen.status_edge.render_line(0).text
        assert ("kept 3 of 64 drafts, cost +0.31 bits" if size[0] == 80 else "3/64 +0.31") in edge
        await it.say(ev.LineDrafted(kept=0, drafts=64, cost=None))
        edge = it.app.main_screen.status_edge.render_line(0).text
        assert ("none of 64 drafts fits; goes on without" if size[0] == 80 else "0 of 64") in edge


def test_the_words_are_short_and_foreign_letters_are_printable() -> None:
    constraints = Constraints(forbid="e\x1b[31m", allow="a" * 99)
    for words in constraint_words(Writing(constraints=constraints, mask_bits=0.5)):
        assert "\x1b" not in words
        assert len(words) < 40
