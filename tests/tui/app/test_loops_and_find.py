"""A text that repeats itself, and words that are looked for in it."""

from __future__ import annotations

from app_opened import opened
from app_script import characters, on_a_loop, training
from hypothesis import given
from hypothesis import strategies as st

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
