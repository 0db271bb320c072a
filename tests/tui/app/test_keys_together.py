"""Keys that come in one packet, as over SSH: acted on in order, each where the last one led (C2).

Pilot waits after each key; here all of them are there at once.
"""

from __future__ import annotations

import asyncio

import pytest
from app_opened import opened
from app_script import on_a_loop, training
from textual._xterm_parser import XTermParser
from textual.events import MouseDown, MouseUp

from model.commands import HoldWriting, RestartWriting, SaveCheckpoint, SetSampling
from model.config import SamplingConfig
from model.events import CharacterWritten, WritingHeld
from tui.screens.dialog import Dialog
from tui.screens.entry import SafeInput, TemperatureEntry
from tui.screens.question import QuitQuestion
from tui.terminal.deferred import after_refresh

TIMES = 10
ENTER, ESCAPE, BACKSPACE, PALETTE = "\r", "\x1b[27u", "\x7f", "\x10"


@on_a_loop
async def test_backspaces_and_figures_in_one_packet_set_the_temperature() -> None:
    async with opened(*training()) as it:
        for time in range(TIMES):
            await it.type("t" + BACKSPACE * 6 + f"0.2{time}" + ENTER)
            assert len(it.app.screen_stack) == 1
            assert it.session.commands[-1] == SetSampling(
                sampling=SamplingConfig(temperature=round(0.2 + time / 100, 2))
            )


@on_a_loop
async def test_a_field_shows_what_was_typed_in_order() -> None:
    async with opened(*training()) as it:
        await it.type("t")
        for _ in range(TIMES):
            await it.type(BACKSPACE * 6 + "0.21")
            assert it.app.screen.query_one(SafeInput).value == "0.21"
            await it.type("\x1b[D" * 2 + "7" + "\x1b[C" * 2 + "9")
            assert it.app.screen.query_one(SafeInput).value == "0.7219"


@on_a_loop
async def test_keys_after_the_one_that_opens_a_dialog_go_into_it() -> None:
    async with opened(*training()) as it:
        for time in range(TIMES):
            await it.type(f"t1.{time}" + ENTER)
            assert it.app.sampling.temperature == 1 + time / 10
            await it.type(f"/word {time}" + ENTER)
            assert it.app.main_screen.sought == f"word {time}"
            await it.type("i\x15" + f"once {time}" + ENTER)
            assert it.session.commands[-1] == RestartWriting(prompt=f"once {time}")
            assert len(it.app.screen_stack) == 1


@pytest.mark.parametrize("key", ["/", "i", "t", PALETTE])
@on_a_loop
async def test_two_enters_after_a_dialog_close_it_once(key: str) -> None:
    async with opened(*training()) as it:
        for _ in range(TIMES):
            await it.type(key + ENTER * 2)
            await it.type(ESCAPE * 3)
            assert len(it.app.screen_stack) == 1
        assert it.app.is_running


@on_a_loop
async def test_a_dialog_takes_its_first_answer_alone() -> None:
    """Two messages of one turn, such as two clicks, both reach a dialog before it is gone."""
    async with opened(*training()) as it:
        answers: list[str | None] = []
        dialog: Dialog[str] = Dialog()
        await it.app.push_screen(dialog, answers.append)
        await asyncio.gather(dialog.dismiss("first"), dialog.dismiss("second"))
        await it.type("")
        assert answers == ["first"]
        assert len(it.app.screen_stack) == 1
        assert it.app.is_running


@on_a_loop
async def test_q_three_times_saves_and_stops() -> None:
    for _ in range(3):
        async with opened(*training()) as it:
            await it.type("qqq")
            await it.until(lambda it=it: not it.app.is_running)  # type: ignore[misc]
        assert it.app.quit_choice == "save"
        assert it.app.return_code == 0


@on_a_loop
async def test_what_is_typed_after_the_last_answer_is_forgotten() -> None:
    async with opened(*training()) as it:
        await it.type("qqst0.5" + ENTER)
        await it.until(lambda: not it.app.is_running)
    assert SaveCheckpoint() not in it.session.commands
    assert not any(isinstance(command, SetSampling) for command in it.session.commands)


@on_a_loop
async def test_escapes_leave_the_app_as_it_was() -> None:
    async with opened(*training()) as it:
        for _ in range(TIMES):
            await it.type("t" + ESCAPE * 3)
            await it.type("q" + ESCAPE * 3)
            await it.type(ESCAPE * 3)
            assert len(it.app.screen_stack) == 1


@on_a_loop
async def test_dialogs_in_one_packet_open_and_close_each_in_turn() -> None:
    async with opened(*training()) as it:
        await it.type("v" + ESCAPE + "?" + ESCAPE + "t0.3" + ENTER + "q")
        assert isinstance(it.app.screen, QuitQuestion)
        assert it.session.commands[-1] == SetSampling(sampling=SamplingConfig(temperature=0.3))
        await it.type(ESCAPE + "t")
        assert isinstance(it.app.screen, TemperatureEntry)


@on_a_loop
async def test_a_click_on_what_is_being_removed_does_nothing() -> None:
    async with opened(*training()) as it:
        going = it.app.main_screen.key_bar
        holder = going._parent
        assert holder is not None
        x, y = going.region.offset
        going._detach()  # in the middle of being removed; the next frame will not show it
        assert it.app.get_widget_at(x, y)[0] is going
        await it.post(
            *(
                kind(None, x, y, 0, 0, 1, False, False, False, screen_x=x, screen_y=y)
                for kind in (MouseDown, MouseUp)
            )
        )
        going._attach(holder)
        assert it.app.defect is None


@on_a_loop
async def test_thousands_of_keys_at_once_are_all_typed() -> None:
    async with opened(*training()) as it:
        await it.type("i\x15" + "word " * 400 + ENTER + "t0.4" + ENTER)
        assert it.session.commands[-2:] == [
            RestartWriting(prompt="word " * 400),
            SetSampling(sampling=SamplingConfig(temperature=0.4)),
        ]


@on_a_loop
async def test_what_fails_while_the_app_ends_is_no_defect() -> None:
    """C3: messages to parts that have gone are still on their way (NoMatches ``#legend``)."""
    async with opened(*training()) as it:
        chart = it.app.main_screen.chart
        it.app.draw_chart()
        await it.until(lambda: chart._plot is not None)
        plot = chart._plot
        assert plot is not None
        await plot.query("#legend").remove()
        it.app.exit()
        it.app.call_later(plot.clear)
        put_off: list[int] = []
        after_refresh(it.app, lambda: put_off.append(1))
        await it.until(lambda: not it.app.is_running)
    assert it.app.defect is None
    assert not put_off


@on_a_loop
async def test_a_terminal_that_keeps_up_again_after_the_end_finds_nothing_to_paint() -> None:
    """C3: the writer of the terminal's output says so from a thread of its own."""
    async with opened(*training()) as it:
        it.app.hold_painting(True, False)
        it.app.exit()
        await it.until(lambda: not it.app.is_running)
    it.app.hold_painting(False, False)


@on_a_loop
async def test_a_dialog_that_waits_for_the_text_to_stand_never_opens_after_the_end() -> None:
    """C3: `a` and `q` in one packet; the answer to `a` comes when the farewell is being said."""
    character = CharacterWritten(character="a", probability=0.3, entropy=1.0, candidates=())
    async with opened(*training()) as it:
        it.app.main_screen.feed.past.add([character])
        it.app.awaits_dialog = True
        it.app.exit()
        await it.until(lambda: not it.app.is_running)
    # As in the program, where the loop has ended by then.
    await asyncio.to_thread(it.app.take, [WritingHeld(held=True)])
    assert it.app.state.writing.held


@on_a_loop
async def test_keys_after_the_one_whose_dialog_a_worker_opens_go_into_it() -> None:
    """`a` waits for the sampler to hold: Escape and `t` behind it are meant for what comes then."""
    character = CharacterWritten(character="a", probability=0.3, entropy=1.0, candidates=())
    async with opened(*training(), character) as it:
        for message in XTermParser().feed("a" + ESCAPE + "t" + BACKSPACE * 6 + "0.7"):
            it.app.post_message(message)
        await it.until(lambda: HoldWriting() in it.session.commands)
        await it.say(WritingHeld(held=True))
        await it.settle()
        assert [type(screen) for screen in it.app.screen_stack[1:]] == [TemperatureEntry]
        assert it.app.screen.query_one(SafeInput).value == "0.7"


@on_a_loop
async def test_a_dialog_whose_worker_does_not_answer_is_not_wanted_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise it would open over what was typed meanwhile."""
    monkeypatch.setattr("tui.terminal.door.MAX_POLLS", 20)
    character = CharacterWritten(character="a", probability=0.3, entropy=1.0, candidates=())
    async with opened(*training(), character) as it:
        await it.type("at" + BACKSPACE * 6 + "0.7")
        await it.say(WritingHeld(held=True))
        await it.settle()
        assert [type(screen) for screen in it.app.screen_stack[1:]] == [TemperatureEntry]
        assert it.app.screen.query_one(SafeInput).value == "0.7"
