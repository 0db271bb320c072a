"""`--read-only`: whoever asks, nothing that writes a file or commands a training is done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from app_opened import opened
from app_script import characters, on_a_loop, training
from textual.dom import DOMNode

from model import commands as cm
from model.config import SamplingConfig
from tui.config.acting_keys import OFF_FOR_SPECTATORS, SPECTATORS_ACTIONS, keys_of
from tui.config.keys import KEYS

TRAINING_COMMANDS = (cm.PauseTraining, cm.ContinueTraining, cm.StopTraining, cm.SaveCheckpoint)


def files_in(folder: Path) -> list[str]:
    return os.listdir(folder)  # noqa: PTH208


HARMLESS = [
    key.action
    for key in KEYS
    if key.id not in OFF_FOR_SPECTATORS and key.id not in {"program.quit", "program.interrupt"}
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


def own_actions(node: DOMNode) -> set[str]:
    """Returns the names of a node's actions that this program defines."""
    return {
        name.removeprefix("action_")
        for kind in type(node).__mro__
        if kind.__module__.startswith("tui.")
        for name in vars(kind)
        if name.startswith("action_")
    }


@on_a_loop
async def test_each_key_names_an_action_of_the_app_or_of_the_main_screen() -> None:
    async with opened() as it:
        named = {key.action_name for key in KEYS}
        for node, prefix in ((it.app, "app"), (it.app.main_screen, "screen")):
            actions = {f"{prefix}.{name}" for name in own_actions(node)}
            beside = {"app.command_palette", "app.quit"}
            assert actions - beside == {name for name in named if name.startswith(f"{prefix}.")}


@on_a_loop
async def test_no_action_beside_the_list_runs_for_a_spectator(tmp_path: Path) -> None:
    """Not by the palette, not by a click, not by an action of Textual's that a link could name."""
    async with opened(*training(), *characters("abc"), read_only=True, text_folder=tmp_path) as it:
        nodes: dict[str, DOMNode] = {"app": it.app, "screen": it.app.main_screen}
        names = {
            f"{prefix}.{name.removeprefix('action_')}"
            for prefix, node in nodes.items()
            for name in dir(node)
            if name.startswith("action_")
        }
        off = names - SPECTATORS_ACTIONS
        assert off >= {"screen.write_text", "screen.write_curve", "app.write_screen"}
        assert off >= {"app.screenshot", "app.show_runs", "screen.dismiss"}
        for name in off:
            assert not await it.app.run_action(name), name
        titles = [item.title for item in it.app.get_system_commands(it.app.screen)]
        assert any("Help" in title for title in titles)
        assert not [title for title in titles if "Write the" in title or "checkpoint" in title]
        assert "Save" not in it.app.main_screen.key_bar.plain
        assert not it.session.commands
    assert not files_in(tmp_path)


@on_a_loop
async def test_no_widget_of_the_main_screen_has_actions_past_the_list() -> None:
    """The list covers the app and the main screen; an action of a widget would need its own."""
    async with opened(*training(), *characters("abc"), read_only=True) as it:
        for widget in it.app.main_screen.walk_children():
            assert not own_actions(widget), widget


@on_a_loop
async def test_a_user_who_is_no_spectator_may_run_every_action() -> None:
    async with opened(*training(), *characters("abc")) as it:
        for node in (it.app, it.app.main_screen):
            for name in own_actions(node):
                assert node.check_action(name, ()), name


@on_a_loop
async def test_what_spectators_may_do_writes_nothing(tmp_path: Path) -> None:
    async with opened(*training(), *characters("abc"), read_only=True, text_folder=tmp_path) as it:
        for action in HARMLESS:
            assert await it.app.run_action(action), action
            await it.pilot.pause()
            if it.app.screen is not it.app.main_screen:
                await it.press("escape")
                await it.settle()  # the door first waits for the alternatives, which never open
        assert not [item for item in it.session.commands if isinstance(item, TRAINING_COMMANDS)]
        assert it.session.commands
    assert not files_in(tmp_path)
