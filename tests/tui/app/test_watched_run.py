"""Where nothing can be trained, nothing that trains is offered, and every refusal says why."""

from __future__ import annotations

import pytest
from app_opened import Opened, opened
from app_script import characters, finished, on_a_loop, training

from model import events as ev
from tui.config.acting_keys import keys_of
from tui.config.keys import KEYS
from tui.screens.help_screen import help_rows

WATCHED = ev.RunWatched(run="a-run", is_trained=True, process=4_711, host="box")
LEFT = ev.RunWatched(run="a-run", is_trained=False, process=None, host=None)
UNKNOWN = ev.RunWatched(run="a-run", is_trained=True, process=None, host=None)
OPENED = ev.WeightsOpened(
    step=40, nats_per_character=1.3, best=True, last_step=40, run_ended="completed"
)
CRASHED = ev.WorkerCrashed(worker="trainer", sentence="it broke", traceback="")
WITHOUT_TRAINING = {
    "watched": ((WATCHED,), "Process 4711 on box trains this run"),
    "watched, by another account": ((UNKNOWN,), "Another process trains this run"),
    "watched, and left": ((WATCHED, LEFT), "no process trains it now"),
    "opened": ((OPENED, ev.TrainingStateChanged(state="finished")), "saved weights"),
    "finished": (finished(), "The training has ended"),
    "crashed": ((CRASHED,), "The training has ended"),
}
STATES = pytest.mark.parametrize("state", WITHOUT_TRAINING)
TRAINING_KEYS = [key for key in KEYS if key.group == "Training"]


def offered(it: Opened) -> str:
    """Returns everything that offers keys: row of hints, help and palette."""
    help_text = "\n".join("".join(text for text, _ in row) for row in help_rows(it.app.acting_keys))
    palette = "\n".join(item.title for item in it.app.get_system_commands(it.app.screen))
    return "\n".join((it.app.main_screen.key_bar.plain, help_text, palette))


@STATES
@on_a_loop
async def test_no_key_that_trains_is_offered(state: str) -> None:
    events, _ = WITHOUT_TRAINING[state]
    trains = state in {"finished", "crashed"}
    async with opened(*training(), *characters("text"), trains=trains) as it:
        if trains:
            assert "p Pause" in offered(it)
            assert "Save a checkpoint" in offered(it)
        await it.say(*events)
        for key in TRAINING_KEYS:
            assert key.label not in offered(it)
        bar = it.app.main_screen.key_bar.plain
        assert "Pause" not in bar
        assert "i Prompt" in bar
        assert "a Fork" in bar
        assert bar.endswith("? Help  q Quit")


@STATES
@on_a_loop
async def test_a_key_that_trains_says_why_it_cannot(state: str) -> None:
    events, reason = WITHOUT_TRAINING[state]
    trains = state in {"finished", "crashed"}
    async with opened(*training(), *characters("text"), *events, trains=trains) as it:
        for key in TRAINING_KEYS:
            it.app.clear_notifications()
            await it.press(key.keys[0])
            assert any(reason in toast for toast in it.toasts()), key.id
        assert not it.session.commands


@on_a_loop
async def test_a_watched_run_names_its_trainer_until_it_ends() -> None:
    async with opened(*training(), WATCHED, trains=False) as it:
        screen = it.app.main_screen
        it.app.draw_figures()
        assert "WATCHING" in screen.header.plain
        assert "process 4711 on box" in str(screen._frames["run"].border_subtitle)
        assert it.toasts() == ["You are watching a-run, trained by process 4711 on box"]
        assert "watching a-run, trained by process 4711 on box" in it.app.state.log[-1].text
        await it.say(LEFT, ev.TrainingStateChanged(state="finished"))
        it.app.draw_figures()
        assert "WATCHING" not in screen.header.plain
        assert not screen._frames["run"].border_subtitle


@on_a_loop
async def test_the_name_of_a_machine_is_foreign_text() -> None:
    hostile = ev.RunWatched(run="[red]\x1b[2J", is_trained=True, process=1, host="\x1b]0;x\x07[b]")
    async with opened(*training(), hostile, trains=False) as it:
        it.app.draw_figures()
        assert not any("\x1b" in toast for toast in it.toasts())
        subtitle = it.app.main_screen._frames["run"].border_subtitle
        assert "\x1b" not in str(subtitle)


def test_runs_are_offered_where_there_is_a_folder_of_them() -> None:
    """Watching has none: the watched run would be left."""
    assert "program.runs" not in {key.id for key in keys_of({}, without=["program.runs"])}
    assert "program.runs" in {key.id for key in keys_of({})}
