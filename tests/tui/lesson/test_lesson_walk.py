"""The lesson under Pilot: all ten steps, as a user goes through them, with a scripted session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_opened import Opened, opened
from app_script import characters, on_a_loop, race_started, step_of, training, validated

from corpus import Vocabulary
from corpus.novelty import NoveltyIndex
from model import events as ev
from model.config import SamplingConfig
from tui.app.app import CharlmApp
from tui.app.lesson_desk import LessonDesk
from tui.lesson.excerpt_name import EXCERPT_NAME
from tui.lesson.language import LANGUAGES, texts_in
from tui.lesson.progress import LessonProgress
from tui.screens.next_session import NextSession
from tui.screens.step_screen import StepScreen

TEXT = "of the whole of the soul "


def index() -> ev.NoveltyIndexed:
    vocabulary = Vocabulary(tuple(sorted(set(TEXT))))
    ids = np.array([vocabulary.symbols.index(letter) for letter in TEXT], np.uint8)
    return ev.NoveltyIndexed(index=NoveltyIndex(ids, vocabulary))


def with_lesson(progress: LessonProgress) -> Callable[[CharlmApp], None]:
    """Returns what opens the lesson in an app that does not run yet."""

    def prepare(app: CharlmApp) -> None:
        app.lesson = LessonDesk(app, progress)

    return prepare


class Pupil:
    """Does what the lesson asks for, and looks at the pane."""

    def __init__(self, it: Opened) -> None:
        self.it = it

    @property
    def pane(self) -> str:
        return self.it.app.main_screen.lesson.plain

    @property
    def done(self) -> int:
        return self.pane.count("✓ ")

    async def ticks(self, count: int) -> None:
        """Waits until so many tasks of the step have a tick."""

        def has() -> bool:
            self.it.app.draw_views()  # as its timer does a few times a second
            return self.done == count

        await self.it.until(has)

    async def go_on(self, number: int) -> None:
        await self.it.press("enter")
        assert self.it.app.lesson.progress.index + 1 == number


@pytest.mark.parametrize("language", LANGUAGES)
@on_a_loop
async def test_a_pupil_goes_through_all_steps(language: str) -> None:
    progress = LessonProgress(is_open=True)
    sampling = SamplingConfig(temperature=0.7)
    script = (*training(5), index(), *characters("xq zvk "))
    settings: dict[str, Any] = {"root": Path("runs"), "language": language, "sampling": sampling}
    async with opened(*script, prepare=with_lesson(progress), **settings) as it:
        pupil = Pupil(it)
        titles = [step.title for step in texts_in(language).steps]
        decimal_point = texts_in(language).words.decimal_point
        assert titles[0] in pupil.pane
        await pupil.go_on(1)
        assert pupil.done == 0, "Enter alone does not pass a step"
        await it.press("space")
        await pupil.ticks(1)
        await it.press("space")
        await pupil.ticks(2)
        await it.say(validated(6, 2.1))
        await pupil.ticks(3)
        assert f"2{decimal_point}10 nats" in pupil.pane
        await pupil.go_on(2)
        await it.press("b")
        await pupil.ticks(1)
        await it.press("b")
        await pupil.ticks(2)
        await pupil.go_on(3)
        await it.press("left_square_bracket", "left_square_bracket")
        await pupil.ticks(1)
        await it.say(*characters("the string of the string and the string " * 10))
        await pupil.ticks(2)
        await it.press("slash", *"string", "enter")
        await pupil.ticks(3)
        assert "“string”: 30" in pupil.pane
        await it.press("end")
        await pupil.ticks(4)
        await pupil.go_on(4)
        await it.press(*["right_square_bracket"] * 4)
        await pupil.ticks(1)
        await it.say(*characters("x" * 200))
        await pupil.ticks(2)
        await it.press("T")
        await pupil.ticks(3)
        await pupil.go_on(5)
        await it.press("4")
        await pupil.ticks(1)
        await it.say(race_started(0.2, 0.5, 1.0, 1.2, prompt=""))
        await it.say(*[ev.LanesWritten(characters=("a", "b", "c", "d"))] * 150)
        await pupil.ticks(2)
        await it.press("4")
        await pupil.ticks(3)
        await pupil.go_on(6)
        await it.press("a")
        await it.say(ev.WritingHeld(held=True))
        await pupil.ticks(1)
        await it.press("escape")
        await it.say(ev.WritingRewound(back=1, text="y", forked=True))
        await pupil.ticks(2)
        await pupil.go_on(7)
        await it.press("c", "c")
        await it.say(*characters(" soulful "))
        await pupil.ticks(2)
        assert "“soulful”" in pupil.pane
        await it.press("c", "c")
        await pupil.ticks(3)
        await pupil.go_on(8)
        assert titles[7] in pupil.pane
        await it.press("O")
        assert it.app.successor == NextSession(kind="excerpt", run="a-run")
    await learn_by_heart(progress, settings)
    assert it.app.successor is not None
    references = ev.ReferencesMeasured(bits_per_character=(("xz", 2.2),))
    async with opened(*training(5), prepare=with_lesson(progress), **settings) as it:
        pupil = Pupil(it)
        await pupil.ticks(3)
        await pupil.go_on(9)
        await it.press("b")
        await pupil.ticks(1)
        await it.say(references, validated(6, 1.3))
        await pupil.ticks(2)
        await pupil.go_on(10)
        await it.until(lambda: titles[9] in pupil.pane)
        await it.press("enter")
        assert not progress.is_open
        assert not it.app.main_screen.lesson.display


async def learn_by_heart(progress: LessonProgress, settings: dict[str, Any]) -> None:
    """The session on the excerpt, which begins where the lesson was and leads back."""
    run = ev.RunStarted(
        time=0.0, run="short", corpus=EXCERPT_NAME, characters=2000, vocabulary=42,
        parameters=9, preset="quick", device="cpu", precision="fp32", threads=1, seed=0,
    )  # fmt: skip
    script = (run, ev.TrainingStateChanged(state="training"), validated(1, 1.5))
    async with opened(*script, prepare=with_lesson(progress), **settings) as it:
        pupil = Pupil(it)
        await pupil.ticks(1)
        learned = [step_of(step, 0.1, time=float(step)) for step in range(2, 90)]
        await it.say(*learned, validated(90, 1.9, best=False))
        await pupil.ticks(2)
        await it.press("O")
        assert it.app.successor == NextSession(kind="resume", run="a-run")


@on_a_loop
async def test_an_undone_step_is_skipped_by_a_second_enter_and_backspace_goes_back() -> None:
    async with opened(*training(5), prepare=with_lesson(LessonProgress(is_open=True))) as it:
        pupil = Pupil(it)
        await pupil.go_on(1)
        await it.until(lambda: "again skips it" in " ".join(pupil.pane.split()))
        await pupil.go_on(2)
        await pupil.go_on(2)
        await it.press("backspace")
        assert it.app.lesson.progress.index == 0


@on_a_loop
async def test_the_lesson_opens_and_closes_in_any_session_and_a_click_presses_its_keys() -> None:
    async with opened(*training(5), size=(120, 40)) as it:
        screen = it.app.main_screen
        before = screen.pane.size.width
        await it.press("enter")
        assert it.toasts() == ["The lesson is closed; S opens it."]
        await it.press("S")
        await it.until(lambda: screen.pane.size.width == before - 42)
        assert screen.lesson.outer_size.width == 42, "what the screen leaves is what it takes"
        assert not screen.hint_row.display
        pupil = Pupil(it)
        await it.until(lambda: "Press space" in pupil.pane)
        rows = pupil.pane.split("\n")
        row = next(number for number, line in enumerate(rows) if "Press space" in line)
        place = screen.lesson.content_region.offset
        column = rows[row].index("space")
        await it.pilot.click(offset=(place.x + column + 1, place.y + row))
        await it.until(lambda: it.app.held)
        await it.press("S")
        await it.until(lambda: screen.pane.size.width == before)
        assert screen.hint_row.display


@on_a_loop
async def test_at_40x10_the_task_takes_two_rows_and_the_key_opens_the_whole_step() -> None:
    progress = LessonProgress(is_open=True)
    async with opened(*training(5), size=(40, 10), prepare=with_lesson(progress)) as it:
        screen = it.app.main_screen
        await it.until(lambda: "the text stands still" in Pupil(it).pane)
        assert screen.lesson.outer_size.height == 2
        assert screen.pane.size.height == 4
        await it.press("S")
        assert isinstance(it.app.screen, StepScreen)
        await it.press("escape")
        assert progress.is_open
        await it.press("S", "tab", "enter")
        await it.until(lambda: not progress.is_open)
        await it.until(lambda: screen.pane.size.height == 6)


@on_a_loop
async def test_spectators_read_the_lesson_and_pass_the_step_that_trains() -> None:
    progress = LessonProgress(is_open=True)
    progress.index = 7
    async with opened(*training(5), read_only=True, prepare=with_lesson(progress)) as it:
        pupil = Pupil(it)
        await it.until(lambda: "No other run can begin here" in pupil.pane)
        await it.press("O")
        assert it.app.successor is None
        await pupil.go_on(9)
