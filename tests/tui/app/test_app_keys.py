"""Every key, pressed on an app whose session is scripted."""

# ruff: noqa: RUF001 - the marks of the screen are single angle quotation marks

from __future__ import annotations

from pathlib import Path

import pytest
from app_opened import opened
from app_script import characters, finished, on_a_loop, training
from textual.widgets import Input, Static

from corpus import MAX_PROMPT_CHARACTERS, Vocabulary
from corpus.errors import CorpusError
from model import commands as cm
from model import events as ev
from model.config import SamplingConfig
from model.session.scripted import ScriptedSession
from tui.app.app import CharlmApp
from tui.config.keys import KEYS
from tui.config.screen_settings import ScreenSettings
from tui.screens.entry import TemperatureEntry, parse_number
from tui.screens.help_screen import HelpScreen
from tui.screens.prompt_entry import PromptEntry, escaped, fit_words, unescaped
from tui.screens.question import QuitQuestion


@on_a_loop
async def test_temperature_keys_act_at_once_and_stay_in_range() -> None:
    async with opened(*training(), sampling=SamplingConfig(temperature=1.0)) as it:
        await it.press("minus", "plus", "equals_sign", "left_square_bracket")
        wanted = [0.95, 1.0, 1.05, 0.8]
        assert it.session.commands == [
            cm.SetSampling(sampling=SamplingConfig(temperature=t)) for t in wanted
        ]
        assert "temperature 0.80" in it.app.main_screen.title_edge.plain
        await it.press("T", *["right_square_bracket"] * 20)
        assert it.app.sampling.temperature == 5.0
        await it.press(*["left_square_bracket"] * 25)
        assert it.app.sampling.temperature == 0.0
        assert "0.00 greedy" in it.app.main_screen.title_edge.plain


@on_a_loop
async def test_an_old_answer_does_not_take_back_a_newer_wish() -> None:
    async with opened(*training()) as it:
        await it.press("plus", "plus")
        await it.say(ev.SamplingApplied(sampling=SamplingConfig(temperature=1.05)))
        assert it.app.sampling.temperature == 1.1
        await it.say(ev.SamplingApplied(sampling=SamplingConfig(temperature=1.1)))
        await it.say(ev.SamplingApplied(sampling=SamplingConfig(temperature=0.5)))
        assert it.app.sampling.temperature == 0.5


@on_a_loop
async def test_typing_a_temperature_says_what_is_wrong_and_then_takes_it() -> None:
    async with opened(*training()) as it:
        await it.press("t")
        assert isinstance(it.app.screen, TemperatureEntry)
        await it.press("9", "enter")
        assert isinstance(it.app.screen, TemperatureEntry)
        await it.press("backspace", "0", ".", "3", "enter")
        assert it.session.commands == [cm.SetSampling(sampling=SamplingConfig(temperature=0.3))]


@pytest.mark.parametrize("typed", ["", "x", "nan", "inf", "-1", "5.1", "1e9", "[/]"])
def test_a_bad_temperature_is_refused_with_words(typed: str) -> None:
    value, words = parse_number(typed, TemperatureEntry.RANGE)
    assert value is None
    assert words


@on_a_loop
async def test_the_change_is_marked_in_the_text() -> None:
    async with opened(*training(), *characters("abc")) as it:
        for value in (0.9, 0.8):
            await it.say(ev.SamplingApplied(sampling=SamplingConfig(temperature=value)))
        await it.say(*characters("def"))
        assert "abc‹0.80›def" in it.app.pane.visible_text
        await it.say(
            ev.SamplingApplied(sampling=SamplingConfig(temperature=0.5)),
            ev.SamplingApplied(sampling=SamplingConfig(temperature=0.8)),
        )
        await it.say(*characters("ghi"))
        assert "abc‹0.80›defghi" in it.app.pane.visible_text
        assert it.app.pane.transcript.current_text == "abcdefghi"


@on_a_loop
async def test_pause_and_hold_toggle_and_their_words_flip() -> None:
    async with opened(*training()) as it:
        await it.press("p")
        assert "p Go on" in it.app.main_screen.key_bar.plain
        await it.say(ev.TrainingStateChanged(state="paused"))
        assert "PAUSED" in it.app.main_screen.header.plain
        await it.press("p", "space")
        assert "on hold" in it.app.main_screen.status_edge.plain
        await it.press("space")
        kinds = [type(command) for command in it.session.commands]
        assert kinds == [cm.PauseTraining, cm.ContinueTraining, cm.HoldWriting, cm.ContinueWriting]


@on_a_loop
async def test_pace_goes_by_steps_and_ends_at_the_ends() -> None:
    async with opened(*training(), rate=60.0) as it:
        await it.press(*["greater_than_sign"] * 6, "less_than_sign")
        rates = [c.characters_per_second for c in it.session.commands if isinstance(c, cm.SetRate)]
        assert rates == [100.0, 200.0, 500.0, 1000.0, 500.0]
        assert "500 char/s" in it.app.main_screen.status_edge.plain


@on_a_loop
async def test_saving_and_ending_reach_the_trainer() -> None:
    async with opened(*training()) as it:
        await it.press("s", "e")
        assert it.session.commands == [cm.SaveCheckpoint(), cm.StopTraining()]
        await it.say(ev.CheckpointSaved(time=1.0, step=1_200, path="x", best=True))
        assert "Checkpoint saved: step 1,200" in it.toasts()
        assert "step 1,200" in it.app.main_screen.run_pane.plain


@on_a_loop
async def test_an_answer_takes_the_place_of_the_one_before_and_a_warning_stays() -> None:
    async with opened(*training()) as it:
        await it.press("c", "c")
        assert [toast.split(".")[0] for toast in it.toasts()] == ["Ink: novelty"]
        await it.say(ev.WritingRestarted(seed=9, prompt="", note="dropped ‘é’"))
        await it.press("c", "c")
        assert [toast.split(".")[0] for toast in it.toasts()][-1] == "Ink off"
        assert "dropped ‘é’" in it.toasts()


@on_a_loop
async def test_restart_and_prompt() -> None:
    async with opened(*training(), *characters("old")) as it:
        await it.press("r", "i")
        assert isinstance(it.app.screen, PromptEntry)
        await it.press("H", "i", "backslash", "n", "enter")
        restart, prompted = it.session.commands
        assert restart == cm.RestartWriting()
        assert prompted == cm.RestartWriting(prompt="Hi\n")
        await it.say(ev.WritingRestarted(seed=9, prompt="Hi\n", note="dropped ‘é’"))
        assert "new text, seed 9" in it.app.pane.visible_text
        assert "dropped ‘é’" in it.toasts()


KNOWN = Vocabulary.from_symbols("abcde \n")


@on_a_loop
async def test_characters_outside_the_vocabulary_are_marked_while_typing() -> None:
    async with opened(*training(), ev.VocabularyKnown(vocabulary=KNOWN)) as it:
        await it.press("i", "a", "é", "Q", "b")
        screen = it.app.screen
        assert isinstance(screen, PromptEntry)
        line = screen.query_one(Input)._value
        assert [(span.start, span.end) for span in line.spans] == [(1, 2), (2, 3)]
        assert all("reverse" in str(span.style) for span in line.spans)
        note = str(screen.query_one("#prompt-fit", Static).content)
        assert note == (
            "2 characters are not in the model's text: é will become e; Q will be left out."
        )
        await it.press("backspace", "backspace", "backspace")
        assert not screen.query_one("#prompt-fit", Static).display
        await it.press("c", "enter")
        assert it.session.commands == [cm.RestartWriting(prompt="ac")]


@on_a_loop
async def test_nothing_is_said_before_the_vocabulary_is_known() -> None:
    async with opened(*training()) as it:
        await it.press("i", "é")
        assert not it.app.screen.query_one("#prompt-fit", Static).display


def test_what_becomes_of_a_prompt_is_said_of_its_end() -> None:
    assert fit_words("abc", KNOWN) == ""
    assert fit_words("é" + "a" * MAX_PROMPT_CHARACTERS, KNOWN) == ""
    assert fit_words("\x1b", KNOWN).endswith("text: U+001B will be left out.")


def test_prompts_survive_being_typed() -> None:
    for prompt in ("a\nb", "a\\nb", "\\", "\t\\\\n"):
        assert unescaped(escaped(prompt)) == prompt


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@on_a_loop
async def test_copying_says_so_and_writing_never_overwrites(tmp_path: Path) -> None:
    async with opened(*training(), text_folder=tmp_path) as it:
        await it.press("y", "w")
        assert it.app.clipboard == ""
        await it.say(*characters("some \ud800 text"))
        await it.press("y", "w", "w")
        await it.until(lambda: len(names(tmp_path)) == 2)
        assert it.app.clipboard == "some � text"
        assert names(tmp_path) == ["a-run-text-1.txt", "a-run-text-2.txt"]
        await it.until(lambda: any("a-run-text-2.txt" in toast for toast in it.toasts()))


@on_a_loop
async def test_a_folder_that_refuses_is_a_toast(tmp_path: Path) -> None:
    missing = tmp_path / "not here"
    async with opened(*training(), *characters("x"), text_folder=missing) as it:
        await it.press("w")
        await it.until(lambda: any("could not be written" in toast for toast in it.toasts()))


@on_a_loop
async def test_the_reader_keeps_the_place_until_end() -> None:
    text = "\n".join(f"line {number}" for number in range(60))
    async with opened(*training(), *characters(text)) as it:
        assert "line 59" in it.app.pane.visible_text
        await it.press("home")
        assert it.app.pane.visible_text.startswith("line 0")
        await it.press("pagedown", "up")
        before = it.app.pane.visible_text
        await it.say(*characters("\nmore" * 30))
        assert it.app.pane.visible_text == before
        assert "End follows" in it.app.main_screen.status_edge.plain
        await it.press("end")
        assert it.app.pane.visible_text.rstrip().endswith("more")
        assert "following" in it.app.main_screen.status_edge.plain
        await it.press("pageup", "down", "pagedown", "pagedown")
        assert it.app.pane.following


@on_a_loop
async def test_quitting_asks_and_every_answer_works() -> None:
    for keys, choice in (
        (("q", "s"), "save"),
        (("q", "d"), "discard"),
        (("q", "enter"), "save"),
        (("q", "down", "enter"), "discard"),
        (("ctrl+c", "ctrl+c"), "save"),
        (("ctrl+q", "d"), "discard"),
    ):
        async with opened(*training()) as it:
            await it.press(*keys)
            assert not it.app.is_running or it.app._exit
            assert it.app.quit_choice == choice


@on_a_loop
async def test_quitting_can_be_called_off_and_needs_no_question_when_done() -> None:
    async with opened(*training()) as it:
        await it.press("q")
        assert isinstance(it.app.screen, QuitQuestion)
        await it.press("escape")
        assert not it.app.screen.is_modal
        await it.say(*finished())
        assert "DONE" in it.app.main_screen.header.plain
        await it.press("q")
        assert it.app._exit


@on_a_loop
async def test_help_shows_every_key_and_closes() -> None:
    async with opened() as it:
        for key in ("question_mark", "f1"):
            await it.press(key)
            assert isinstance(it.app.screen, HelpScreen)
            await it.press("escape")
        assert it.app.screen is it.app.main_screen


@on_a_loop
async def test_the_palette_offers_every_action() -> None:
    async with opened(root=Path("runs"), two_authors=True) as it:
        titles = {command.title for command in it.app.get_system_commands(it.app.screen)}
        offered = [key for key in KEYS if not key.priority and key.id != "training.longer"]
        assert {f"{key.label} ({key.shown})" for key in offered} <= titles
        assert "Train longer (E)" not in titles, "it trains"
        await it.say(*finished())
        titles = {command.title for command in it.app.get_system_commands(it.app.screen)}
        assert "Train longer (E)" in titles


@on_a_loop
async def test_the_palette_over_a_dialog_acts_on_the_panes_below() -> None:
    async with opened(size=(120, 40)) as it:
        await it.press("question_mark")
        command = next(
            item
            for item in it.app.get_system_commands(it.app.screen)
            if item.title.startswith("Maximise")
        )
        await command.callback()
        assert it.app.main_screen.panes.maximised


@on_a_loop
async def test_tab_chooses_the_next_pane() -> None:
    async with opened(*training(), size=(120, 40)) as it:
        assert it.app.main_screen.shown == ("chart", "run")
        for chosen in ("run", "chart", "run"):
            await it.press("tab")
            assert it.app.main_screen.panes.active == chosen


@on_a_loop
async def test_clicking_a_key_hint_acts() -> None:
    async with opened(*training()) as it:
        x = it.app.main_screen.key_bar.plain.index("p Pause")
        await it.pilot.click("#keys", offset=(x, 0))
        await it.pilot.pause()
        assert it.session.commands == [cm.PauseTraining()]


@on_a_loop
async def test_no_key_crashes_in_any_state() -> None:
    crash = ev.WorkerCrashed(worker="sampler", sentence="defect", traceback="")
    states: tuple[tuple[ev.Event, ...], ...] = (
        (),
        (*training(), *finished()),
        (*training(), crash),
    )
    skipped = {"program.quit", "program.interrupt", "program.suspend"}
    for events in states:
        async with opened(*events) as it:
            for key in KEYS:
                if key.id not in skipped:
                    for name in key.keys:
                        await it.press(name)
                        if it.app.screen is not it.app.main_screen:
                            await it.press("escape")
            assert it.app.screen is it.app.main_screen


@on_a_loop
async def test_a_refused_session_ends_the_app_with_its_error() -> None:
    error = CorpusError("x.txt", "is empty", "give a text")
    async with opened() as it:
        await it.say(ev.SessionRefused(error=error))
        assert it.app.refusal is error
        assert it.app._exit


@on_a_loop
async def test_a_crash_leaves_a_banner_and_the_app_open() -> None:
    async with opened(*training()) as it:
        await it.say(ev.WorkerCrashed(worker="trainer", sentence="a defect", traceback=""))
        assert it.app.main_screen.banner.display
        assert "trainer failed: a defect; writing goes on" in it.app.main_screen.banner.plain
        assert "TRAINER FAILED" in it.app.main_screen.header.plain


@on_a_loop
async def test_a_signal_guard_can_end_the_app() -> None:
    async with opened(*training()) as it:
        await it.press("q")
        it.app.request_exit(143)
        await it.pilot.pause()
        assert it.app.return_code == 143
        assert it.app.quit_choice == "save"


@on_a_loop
async def test_the_session_starts_after_the_first_frame() -> None:
    session = ScriptedSession()
    app = CharlmApp(session, ScreenSettings())
    assert not session.started
    async with app.run_test() as pilot:
        await pilot.pause()
        assert session.started
