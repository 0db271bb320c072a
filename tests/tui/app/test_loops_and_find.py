"""A text that repeats itself, and words that are looked for in it."""

from __future__ import annotations

import pytest
from app_opened import Opened, opened
from app_script import characters, on_a_loop, training
from hypothesis import given
from hypothesis import strategies as st

from model import events as ev
from tui.view.ink import INKS, InkKind
from tui.view.repetition import MAX_PERIOD, REPEATED, period_of


@given(st.text("abc ", min_size=1, max_size=40), st.text("xyz", max_size=100))
def test_a_repeated_text_has_a_period(unit: str, before: str) -> None:
    text = before + unit * (REPEATED // len(unit) + 5)
    period = period_of(text)
    assert period is not None
    assert period <= len(unit)
    assert text[-REPEATED:] == text[-REPEATED - period : -period]


@given(st.text("abcdefgh ", max_size=600))
def test_what_is_called_a_period_is_one(text: str) -> None:
    period = period_of(text)
    if period is not None:
        needed = max(REPEATED, 3 * period)
        assert text[-needed:] == text[-needed - period : -period]
        assert period <= MAX_PERIOD


def test_an_ordinary_text_has_none() -> None:
    assert period_of("it was the best of times, it was the worst of times, " * 2) is None
    assert period_of("".join(f"line {n}\n" for n in range(100))) is None


@on_a_loop
async def test_a_loop_is_said_once() -> None:
    async with opened(*training(), *characters("the sense of " * 30)) as it:
        it.app._listen_for_loops()
        it.app._listen_for_loops()
        await it.pilot.pause()
        assert [("every 13 characters" in toast) for toast in it.toasts()] == [True]


def marked(it: Opened) -> str:
    """Returns the visible characters that are marked as found."""
    pane = it.app.pane
    style = pane.component_style("writing--found")
    strips = [pane.render_line(y) for y in range(pane.size.height)]
    return "".join(segment.text for strip in strips for segment in strip if segment.style == style)


@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize("size", [(40, 24), (80, 24), (120, 40)])
@on_a_loop
async def test_the_words_alone_are_marked_wherever_a_line_breaks(
    size: tuple[int, int], ink: InkKind
) -> None:
    hay, needle = "hay " * 11, "the needle in a haystack e\u0301"
    async with opened(*training(), *characters((hay + needle + " ") * 9), size=size) as it:
        it.app.pane.ink.kind = ink
        await it.press("slash", *"NEEDLE in a haystack e", "enter")
        for number in (9, 8, 7, 6, 5, 4, 3, 2, 1, 9):
            assert marked(it).replace(" ", "") == "needleinahaystacke\u0301"
            assert f"{number} of 9" in it.app.main_screen.status_edge.plain
            await it.press("n")
        await it.press("N")
        assert "9 of 9" in it.app.main_screen.status_edge.plain
        await it.press("end")
        assert not marked(it)
        assert "following" in it.app.main_screen.status_edge.plain


@on_a_loop
async def test_a_place_stays_marked_while_the_text_goes_on_and_is_wrapped_again() -> None:
    async with opened(*training(), *characters("hay " * 300 + "needle ")) as it:
        await it.press("slash", *"needle", "enter")
        await it.say(*characters("straw " * 3_000))
        assert marked(it) == "needle"
        await it.pilot.resize_terminal(50, 30)
        await it.pilot.pause()
        assert marked(it) == "needle"
        await it.say(ev.WritingRewound(back=2, text="x", forked=True))
        assert not marked(it), "the characters are other ones"


@on_a_loop
async def test_new_words_are_looked_for_from_the_end() -> None:
    async with opened(*training(), *characters("one two\n" * 30)) as it:
        await it.press("slash", *"one", "enter", "n", "n", "slash", *"two", "enter")
        assert "“two” 30 of 30" in it.app.main_screen.status_edge.plain
        await it.press("slash", *"three", "enter")
        assert not marked(it)
        assert "of 30" not in it.app.main_screen.status_edge.plain


@on_a_loop
async def test_words_are_found_upwards_and_back() -> None:
    lines = "".join(f"line {n} {'needle' if n in (3, 40) else 'hay'}\n" for n in range(60))
    async with opened(*training(), *characters(lines)) as it:
        await it.press("slash", *"NEEDLE", "enter")
        assert "line 40 needle" in it.app.pane.visible_text
        await it.press("n")
        assert "line 3 needle" in it.app.pane.visible_text
        await it.press("N")
        assert "line 40 needle" in it.app.pane.visible_text
        await it.press("end")
        assert "line 59" in it.app.pane.visible_text
        await it.press("slash", "escape")
        it.app.main_screen.sought = "nowhere"
        await it.press("n")
        assert any("nowhere" in toast for toast in it.toasts())


@pytest.mark.parametrize("keys", [("r",), ("i", "x", "enter"), ("escape",)])
@on_a_loop
async def test_a_new_text_is_followed_and_the_search_forgotten(keys: tuple[str, ...]) -> None:
    async with opened(*training(), *characters("the sense of the whole " * 60)) as it:
        await it.press("slash", *"the", "enter")
        followed = [it.app.pane.following]
        await it.press(*keys)
        await it.settle()
        followed.append(it.app.pane.following)
        assert followed == [False, True]
        assert it.app.pane.found is None
