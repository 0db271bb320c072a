"""The lesson in the app: reads what happens, notes which steps are done, and shows them.

The steps and their conditions are those of ``tui.lesson``, which knows no app.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from model.events import (
    CharacterWritten,
    Event,
    LanesWritten,
    RaceStarted,
    WritingRestarted,
    WritingRewound,
)
from tui.config.acting_keys import keys_of
from tui.lesson.conditions import Reading, Situation
from tui.lesson.excerpt_name import EXCERPT_NAME
from tui.lesson.language import texts_in
from tui.lesson.progress import LessonProgress
from tui.lesson.step import FIGURES
from tui.lesson.step_rows import Shown
from tui.screens.alternatives import AlternativesScreen
from tui.screens.next_session import NextSession
from tui.screens.step_screen import StepScreen
from tui.terminal.deferred import after_refresh

if TYPE_CHECKING:
    from tui.app.app import CharlmApp

_MAX_RECENT_CHARACTERS: Final = 20_000


class LessonDesk:
    """The lesson of one session; the progress is handed on to the next one."""

    def __init__(self, app: CharlmApp, progress: LessonProgress) -> None:
        self._app = app
        self.progress = progress
        self._texts = texts_in(app.settings.language)
        names = {"space": self._texts.words.space}
        self._keys = {
            key.id: names.get(key.shown, key.shown) for key in keys_of(app.settings.keymap)
        }
        self._temperature = app.sampling.temperature
        self._recent: list[str] = []
        self._forks = 0
        self._lane_characters = 0
        app.main_screen.lesson.is_open = progress.is_open

    def take(self, events: Sequence[Event]) -> None:
        """Notes what the conditions ask for."""
        for event in events:
            if isinstance(event, CharacterWritten):
                self._recent.append(event.character)
            elif isinstance(event, LanesWritten):
                self._lane_characters += 1
            elif isinstance(event, RaceStarted):
                self._lane_characters = 0
            elif isinstance(event, WritingRewound):
                self._forks += event.forked
            elif isinstance(event, WritingRestarted):
                self._recent.clear()
        del self._recent[:-_MAX_RECENT_CHARACTERS]

    def draw(self) -> None:
        """Notes which conditions hold now, and shows the step; does nothing while it is closed."""
        if not self.progress.is_open:
            return
        situation = self._situation()
        conditions = self._texts.steps[self.progress.index].conditions
        self.progress.listen(conditions, situation)
        met = self.progress.met
        waits = len(met) < len(conditions)
        reading = conditions[len(met)].read(situation) if waits else Reading(None)
        shown = self._shown(reading)
        self._app.main_screen.lesson.show(shown)
        if isinstance(self._app.screen, StepScreen):
            self._app.screen.show(shown)

    def toggle(self) -> None:
        """Opens the lesson; closes it, or shows the whole step if the pane cuts it."""
        if self.progress.is_open and self._app.main_screen.lesson.is_cut:

            def answered(choice: str | None) -> None:
                if choice == "close":
                    self._set_open(False)

            self._app.push_screen(
                StepScreen(self._texts.words, ascii_only=self._app.settings.ascii), answered
            )
            after_refresh(self._app, self.draw)
        else:
            self._set_open(not self.progress.is_open)

    def turn(self, direction: int) -> None:
        """Goes to the next step or to the one before; after the last one, the lesson closes."""
        progress, steps = self.progress, self._texts.steps
        if not progress.is_open:
            self._app.say(f"The lesson is closed; {self._keys['lesson.toggle']} opens it.")
            return
        is_done = self._shown(Reading(None)).is_done
        if direction < 0:
            progress.go_back()
        elif progress.index == len(steps) - 1 and is_done:
            self._set_open(False)
        else:
            progress.go_on(is_done=is_done, count=len(steps))
        self._forks = 0
        self.draw()

    def change_text(self) -> None:
        """Leaves for a run on the short text; from there, goes back to the run before."""
        run, before = self._app.state.run, self.progress.run_before
        if run is None or not self._can_change_text:
            self._app.say("No other run can begin from here.", severity="warning")
        elif not self._reads_excerpt:
            self.progress.run_before = (run.run, self._app.trains_now)
            self._app.leave_for(NextSession(kind="excerpt", run=run.run))
        elif before is not None:
            name, trains = before
            self._app.leave_for(NextSession(kind="resume" if trains else "open", run=name))
        else:
            self._app.say("There is no run to go back to. The list of runs has them all.")

    @property
    def _can_change_text(self) -> bool:
        return "lesson.excerpt" in {key.id for key in self._app.acting_keys}

    @property
    def _reads_excerpt(self) -> bool:
        run = self._app.state.run
        return run is not None and run.corpus == EXCERPT_NAME

    def _set_open(self, is_open: bool) -> None:
        app = self._app
        self.progress.is_open = app.main_screen.lesson.is_open = is_open
        app.main_screen.fit_panes(app.size)
        after_refresh(app, app.draw_all)

    def _situation(self) -> Situation:
        app, screen = self._app, self._app.main_screen
        if app.sampling.temperature != self._temperature:
            self._temperature = app.sampling.temperature
            self._recent.clear()
        return Situation(
            state=app.state,
            temperature=app.sampling.temperature,
            recent_text="".join(self._recent),
            sought=screen.sought,
            new_word=screen.pane.ink.newest_word,
            is_held=app.held,
            is_following=screen.pane.following,
            shows_bits=screen.chart_view.bits,
            is_racing="race" in screen.shown,
            lane_characters=self._lane_characters,
            considers=any(isinstance(other, AlternativesScreen) for other in app.screen_stack),
            forks=self._forks,
            ink=screen.pane.ink.kind,
            reads_excerpt=self._reads_excerpt,
        )

    def _shown(self, reading: Reading) -> Shown:
        progress, steps = self.progress, self._texts.steps
        step, run = steps[progress.index], self._app.state.run
        needs_excerpt = any(condition.subject == "corpus" for condition in step.conditions)
        size = run.vocabulary if run is not None else 0
        uniform = f"{math.log(max(1, size)):.2f}".replace(".", self._texts.words.decimal_point)
        figures = (uniform, f"{size}") if size else ("?", "?")
        return Shown(
            step=step,
            number=progress.index + 1,
            count=len(steps),
            met=progress.met,
            waiting=reading,
            asks_to_skip=progress.asks_to_skip,
            is_possible=not needs_excerpt or run is None or self._can_change_text,
            keys=self._keys,
            figures=dict(zip(FIGURES, figures, strict=True)),
            words=self._texts.words,
        )
