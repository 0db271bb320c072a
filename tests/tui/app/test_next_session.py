"""Training longer, and again with another preset, from within the app."""

from __future__ import annotations

from pathlib import Path

from app_opened import opened
from app_script import finished, on_a_loop, training
from textual.widgets import Button

from model.presets import PRESETS
from tui.screens.entry import MinutesEntry
from tui.screens.menu import Menu
from tui.screens.next_session import NextSession


@on_a_loop
async def test_an_ended_training_goes_on_for_more_minutes() -> None:
    async with opened(*training(), *finished(), root=Path("runs")) as it:
        assert "E Longer" in it.app.main_screen.key_bar.plain
        await it.press("E")
        assert isinstance(it.app.screen, MinutesEntry)
        await it.press("backspace", "minus", "3", "enter")
        assert isinstance(it.app.screen, MinutesEntry), "-3 minutes cannot be trained"
        await it.press("home", "delete", "enter")
        assert it.app.successor == NextSession(kind="resume", run="a-run", minutes=3.0)
        assert it.app.quit_choice == "save"


@on_a_loop
async def test_while_it_trains_there_is_nothing_to_continue() -> None:
    async with opened(*training(), root=Path("runs")) as it:
        assert "Longer" not in it.app.main_screen.key_bar.plain
        await it.press("E")
        assert it.toasts() == ["There is no ended training to continue here."]
        assert it.app.successor is None


@on_a_loop
async def test_another_preset_trains_on_the_same_text() -> None:
    async with opened(*training(), root=Path("runs")) as it:
        await it.press("R")
        assert isinstance(it.app.screen, Menu)
        for preset in PRESETS.values():
            button = it.app.screen.query_one(f"#choice-{preset.name}", Button)
            assert preset.purpose in str(button.label), "each is explained at 80 columns"
        await it.press("R", "R", "3")
        assert it.app.successor == NextSession(kind="again", run="a-run", preset="balanced")


@on_a_loop
async def test_a_text_from_standard_input_is_not_offered_again() -> None:
    async with opened(*training(), root=Path("runs"), can_train_again=False) as it:
        assert "training.again" not in {key.id for key in it.app.acting_keys}
        await it.press("R")
        assert it.toasts() == ["This text cannot be trained on again from here."]


@on_a_loop
async def test_spectators_can_do_neither() -> None:
    async with opened(*training(), *finished(), root=Path("runs"), read_only=True) as it:
        await it.press("E", "R")
        assert it.app.screen is it.app.main_screen
        assert it.app.successor is None
