"""`--read-only`: whoever asks, nothing that writes a file or commands a training is done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from app_opened import opened
from app_script import characters, on_a_loop, training

from model import commands as cm
from model.config import SamplingConfig
from tui.app.app import CharlmApp
from tui.config.keys import KEYS, OFF_FOR_SPECTATORS, SPECTATORS_ACTIONS, keys_of

TRAINING_COMMANDS = (cm.PauseTraining, cm.ContinueTraining, cm.StopTraining, cm.SaveCheckpoint)


def files_in(folder: Path) -> list[str]:
    return os.listdir(folder)  # noqa: PTH208


HARMLESS = [
    key.action
    for key in KEYS
    if key.id not in OFF_FOR_SPECTATORS and key.action_name not in {"ask_quit", "interrupt"}
]


def test_each_key_is_on_or_off_for_spectators() -> None:
    assert {key.id for key in KEYS} > OFF_FOR_SPECTATORS
    off = {key.action_name for key in KEYS if key.id in OFF_FOR_SPECTATORS}
    assert not off & SPECTATORS_ACTIONS, "an action that is on by another key would be on by all"
    shown = {key.id for key in keys_of({}, read_only=True)}
    assert shown == {key.id for key in KEYS} - OFF_FOR_SPECTATORS


@on_a_loop
async def test_no_key_of_a_spectator_writes_or_commands(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"text_folder": tmp_path, "root": tmp_path / "runs"}
    async with opened(*training(), *characters("abc"), read_only=True, **settings) as it:
        for key in KEYS:
            if key.id in OFF_FOR_SPECTATORS:
                for name in key.keys:
                    await it.press(name)
                    assert it.app.screen is it.app.main_screen
        assert not [item for item in it.session.commands if isinstance(item, TRAINING_COMMANDS)]
        await it.press("minus")
        assert it.session.commands == [cm.SetSampling(sampling=SamplingConfig(temperature=0.95))]
    assert not files_in(tmp_path)


@on_a_loop
async def test_no_action_beside_the_list_runs_for_a_spectator(tmp_path: Path) -> None:
    """Not by the palette, not by a click, not by an action of Textual's that a link could name."""
    async with opened(*training(), *characters("abc"), read_only=True, text_folder=tmp_path) as it:
        actions = [name for name in dir(CharlmApp) if name.startswith("action_")]
        names = {name.removeprefix("action_") for name in actions}
        off = names - SPECTATORS_ACTIONS
        assert off >= {"write_text", "write_curve", "write_screen", "screenshot", "show_runs"}
        for name in off:
            assert not await it.app.run_action(f"app.{name}"), name
        titles = [item.title for item in it.app.get_system_commands(it.app.screen)]
        assert any("Help" in title for title in titles)
        assert not [title for title in titles if "Write the" in title or "checkpoint" in title]
        assert "Save" not in it.app.main_screen.key_bar.plain
        assert not it.session.commands
    assert not files_in(tmp_path)


@on_a_loop
async def test_what_spectators_may_do_writes_nothing(tmp_path: Path) -> None:
    async with opened(*training(), *characters("abc"), read_only=True, text_folder=tmp_path) as it:
        for action in HARMLESS:
            await it.app.run_action(f"app.{action}")
            await it.pilot.pause()
            if it.app.screen is not it.app.main_screen:
                await it.press("escape")
        assert not [item for item in it.session.commands if isinstance(item, TRAINING_COMMANDS)]
        assert it.session.commands
    assert not files_in(tmp_path)
