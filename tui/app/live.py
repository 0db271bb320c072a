"""What the app does by itself: takes news from the session, keeps the state, draws it.

Worker threads never come here. A timer takes what happened since the last frame, the pure ``fold``
makes the new state of it, and the screen draws what changed. The session is started only after
the first frame is on the terminal: its trainer imports torch, which would slow that frame down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from textual.events import Resize
from textual.theme import Theme

from model.commands import Command, SetSampling
from model.config import SamplingConfig
from model.events import (
    CharacterWritten,
    CheckpointSaved,
    Event,
    LanesWritten,
    LaneTemperatureApplied,
    NoveltyIndexed,
    RaceStarted,
    RankedUnit,
    RateSet,
    SamplingApplied,
    SessionRefused,
    TextMissing,
    TrainingStateChanged,
    WarningRaised,
    WritingHeld,
    WritingRestarted,
    WritingRewound,
)
from tui.app.process_meter import MachineMeter
from tui.config.screen_settings import ScreenSettings
from tui.config.themes import OWN_THEMES, user_themes
from tui.sanitise import one_line
from tui.screens.main_screen import MainScreen
from tui.terminal.deferred import after_refresh
from tui.terminal.terminal_app import TerminalApp
from tui.view.format import grouped
from tui.view.recent_characters import Past
from tui.view.repetition import period_of
from tui.view.state import ViewState, fold
from tui.widgets.frame import temperature_label
from tui.widgets.writing_pane import WritingPane

if TYPE_CHECKING:
    from textual.screen import Screen

    from model.session.protocol import Session

Severity = Literal["information", "warning", "error"]
TOAST_SECONDS: Final = 6.0


class LiveApp(TerminalApp):
    """Shows one session: takes its news and draws them."""

    CSS_PATH = "app.tcss"
    TITLE = "charlm-tui"
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it so
        (0, "-tiny-width"),
        (40, "-narrow"),
        (70, "-normal"),
        (110, "-wide"),
        (160, "-very-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it so
        (0, "-tiny-height"),
        (10, "-rows-10"),
        (11, "-rows-11"),
        (18, "-rows-18"),
        (22, "-rows-22"),
        (24, "-rows-24"),
        (30, "-rows-30"),
        (40, "-rows-40"),
        (50, "-rows-50"),
    ]

    def __init__(
        self,
        session: Session,
        settings: ScreenSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        meter: MachineMeter | None = None,
    ) -> None:
        super().__init__()
        self._meter = meter or MachineMeter()
        self.session = session
        self.settings = settings
        self.state = ViewState()
        self.refusal: Exception | None = None
        """Why the session could not go on, in the words of a ``UserError``."""
        self.quit_choice: Literal["save", "discard"] = "save"
        """What the user wants done with the training when the app has ended."""
        self.sampling = settings.sampling
        """The settings that the user chose; the sampler follows within a character."""
        self.sampling_posted: SamplingConfig | None = None
        """The settings that the sampler has yet to apply."""
        self.rate = settings.rate
        self.held = False
        self.pause_wanted = False
        self._clock = clock
        self.checkpoint_wanted = False
        self._warned_until = 0.0
        self.past = Past()
        self.looping = False
        """Whether the text repeats itself."""
        self.unit: RankedUnit | None = None
        """The hidden unit that the text is coloured by."""
        self._mark_base = self._label(settings.sampling)
        """The mark that the last character in the pane was written under."""
        self._mark_shown: str | None = None
        """The mark that no character has followed yet."""
        self._main_screen = MainScreen(settings)
        self._dress()
        self.set_keymap(dict(settings.keymap))

    @property
    def main_screen(self) -> MainScreen:
        """The screen with the panes, also while a question lies over it."""
        return self._main_screen

    @property
    def pane(self) -> WritingPane:
        """The writing pane."""
        return self._main_screen.pane

    def get_default_screen(self) -> Screen[None]:
        """Returns the screen with the panes."""
        return self._main_screen

    def on_ready(self) -> None:
        """Draws the first frame, then lets the session start."""
        self._main_screen.arrange_panes(self.size)
        self.draw_all()
        after_refresh(self, self._start_session)

    def _start_session(self) -> None:
        """Starts the session and the timers."""
        self.session.start()
        slow = self.settings.low_bandwidth
        self.set_interval(self.settings.frame_seconds, self._take_news)
        self.set_interval(2.0 if slow else 1.0, self.draw_figures)
        self.set_interval(2.0, self.draw_status)
        self.set_interval(2.0, self.draw_title)
        self.set_interval(1.0, self._listen_for_loops)
        self.set_interval(self.settings.view_seconds, self.draw_views)
        self.set_interval(self.settings.chart_seconds, self.draw_chart)
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        self.app_resume_signal.subscribe(self, self._resumed)

    # --- news from the session ------------------------------------------------------------------

    def _take_news(self) -> None:
        """Takes what happened since the last frame."""
        events = self.session.poll()
        if events:
            self.take(events)

    def take(self, events: Sequence[Event]) -> None:
        """Folds events into the state and shows what they changed, while there is a screen.

        What comes after the app was told to leave is for the farewell: a dialog that was asked for
        must not open any more.
        """
        before = self.state
        self.state = fold(before, events, self._clock())
        if self.is_leaving:
            return
        self._write_text(events)
        for event in events:
            self._notice(event)
        after = self.state
        if _rare(before) != _rare(after):
            self.draw_figures()
        # The title is a whole row of bytes; on a slow line its timer is enough.
        swapped = before.writing.weights_step != after.writing.weights_step
        if swapped and not self.settings.low_bandwidth:
            self.draw_title()

    def _write_text(self, events: Sequence[Event]) -> None:
        """Hands the characters and marks of some events to the writing pane."""
        written: list[CharacterWritten] = []
        for event in events:
            if isinstance(event, CharacterWritten):
                written.append(event)
            elif isinstance(event, WritingRewound):
                self._hand_over(written)
                mark = ("Y" if self.settings.ascii else "⑂") if event.forked else None
                self.pane.replace_end(event.back, event.text, mark)
                self.past.rewind(event)
            elif isinstance(event, LanesWritten | RaceStarted | LaneTemperatureApplied):
                self._race_on(event)
            elif isinstance(event, SamplingApplied | WritingRestarted):
                self._hand_over(written)
                if isinstance(event, SamplingApplied):
                    self._follow_sampler(event.sampling)
                else:
                    self.pane.restart(f"new text, seed {event.seed}", event.prompt)
                    self.past.restart()
                    self._mark_base = self._label(self.sampling)
        self._hand_over(written)

    def _race_on(self, event: LanesWritten | RaceStarted | LaneTemperatureApplied) -> None:
        """Hands the race what happened in it; its pane draws at its own pace."""
        race = self._main_screen.race
        if isinstance(event, LanesWritten):
            race.write(event.characters)
        elif isinstance(event, RaceStarted):
            race.start(event.temperatures, event.prompt)
        else:
            race.set_temperature(event.lane, event.temperature)

    def _hand_over(self, written: list[CharacterWritten]) -> None:
        """Writes what was gathered."""
        if written:
            self.pane.write(written)
            self.past.add(written)
            written.clear()
            self._mark_base = self._mark_shown or self._mark_base
            self._mark_shown = None

    def _follow_sampler(self, sampling: SamplingConfig) -> None:
        """Marks the place in the text where a temperature takes effect."""
        label = self._label(sampling)
        self._mark_shown = None if label == self._mark_base else label
        if self.pane.transcript.is_empty:
            self._mark_base, self._mark_shown = label, None
        self.pane.mark(self._mark_shown)
        if self.sampling_posted in {None, sampling}:
            self.sampling_posted = None
            self.sampling = sampling
            self.draw_title()

    def _label(self, sampling: SamplingConfig) -> str:
        """Returns the mark that shows the temperature in the text."""
        return temperature_label(sampling.temperature, ascii_only=self.settings.ascii)

    def _notice(self, event: Event) -> None:
        """Does what some events ask for beyond the state."""
        if isinstance(event, WarningRaised):
            self.say(one_line(event.text, 300), severity="warning")
        elif isinstance(event, SessionRefused):
            self.refusal = event.error
            self.exit()
        elif isinstance(event, CheckpointSaved):
            self._notice_checkpoint(event)
        elif isinstance(event, TrainingStateChanged):
            self.pause_wanted = event.state == "paused"
            self.draw_keys()
        else:
            self._notice_writing(event)

    def _notice_writing(self, event: Event) -> None:
        """Does what some events of the sampler ask for."""
        if isinstance(event, WritingHeld):
            self.held = event.held
            self.draw_keys()
            self.draw_status()
            if event.held:
                self.writing_stands()
        elif isinstance(event, NoveltyIndexed):
            self.pane.ink.use_index(event.index)
        elif isinstance(event, TextMissing):
            self.pane.ink.text_missing = True
            if self.pane.ink.kind == "novelty":
                self.say_text_is_missing()
        elif isinstance(event, RateSet):
            self.rate = event.characters_per_second
            self.draw_status()
        elif isinstance(event, WritingRestarted):
            if event.note:
                self.say(one_line(event.note, 300), severity="warning")
            self.draw_title()

    def say_text_is_missing(self) -> None:
        """Says why novelty is not to be had."""
        reason = one_line(self.state.text_missing or "", 200)
        self.say(f"Novelty is not to be had: {reason}", severity="warning")

    def writing_stands(self) -> None:
        """Is called when the text is on hold."""

    def say(self, words: str, *, severity: Severity = "information") -> None:
        """Shows a toast; text that is not ours was made printable by the caller.

        The answer to a key takes the place of the answer before it: a pile of them would hide a
        small screen. Warnings stay their time, and what is said meanwhile stands beside them.
        """
        now = self._clock()
        if severity != "information":
            self._warned_until = now + TOAST_SECONDS
        elif now >= self._warned_until:
            self.clear_notifications()
        self.notify(words, severity=severity, markup=False, timeout=TOAST_SECONDS)

    def _notice_checkpoint(self, event: CheckpointSaved) -> None:
        """Says that the checkpoint that was asked for is on disk."""
        if self.checkpoint_wanted:
            self.checkpoint_wanted = False
            self.say(f"Checkpoint saved: step {grouped(event.step)}")

    def post(self, command: Command) -> None:
        """Hands a command to the session."""
        self.session.post(command)

    def set_sampling(self, sampling: SamplingConfig) -> None:
        """Draws the next character with these settings; the screen shows them at once."""
        self.sampling = self.sampling_posted = sampling
        self.post(SetSampling(sampling=sampling))

    # --- drawing --------------------------------------------------------------------------------

    def draw_all(self) -> None:
        """Draws everything but the text."""
        self.draw_figures()
        self.draw_title()
        self.draw_status()
        self.draw_keys()
        self.draw_chart()
        self.draw_views()

    def draw_figures(self) -> None:
        """Draws the rows of figures."""
        self._main_screen.draw_figures(self.state, self._clock(), self._meter.read())

    def draw_chart(self) -> None:
        """Draws the loss curve."""
        self._main_screen.draw_chart(self.state)

    def draw_views(self) -> None:
        """Draws the panes that follow the writing."""
        self._main_screen.draw_views(self.state, self.sampling)

    def draw_title(self) -> None:
        """Draws the upper edge of the writing pane."""
        ink = self.pane.ink
        words = ink.words
        if ink.kind == "unit" and self.unit is not None:
            words = f"unit {self.unit.unit}: {one_line(self.unit.feature, 40)}"
        self._main_screen.draw_title(self.state, self.sampling.temperature, words)

    def _listen_for_loops(self) -> None:
        """Says once that the text repeats itself, and again after it has stopped."""
        end = "".join(event.character for event in list(self.past.characters)[-900:])
        period = period_of(end)
        if period is not None and not self.looping:
            self.say(
                f"The text repeats itself every {period} characters: + raises the temperature, "
                "r begins anew.",
                severity="warning",
            )
        self.looping = period is not None

    def draw_status(self) -> None:
        """Draws the lower edge of the writing pane."""
        self._main_screen.draw_status(self.state, self.rate, held=self.held)

    def draw_keys(self) -> None:
        """Draws the row of keys, with the word for what a key does now."""
        words = {}
        if self.pause_wanted:
            words["training.pause"] = "Go on"
        if self.held:
            words["writing.hold"] = "Go on"
        self._main_screen.key_bar.show(words)

    def on_resize(self, event: Resize) -> None:
        """Draws everything for the new size, once the panes have theirs."""
        self._main_screen.arrange_panes(event.size)
        after_refresh(self, self.draw_all)

    def on_frame_edge_resized(self) -> None:
        """Draws the edges of the writing pane for their new width, which the layout gave them."""
        self.draw_title()
        self.draw_status()

    def on_writing_pane_scrolled(self) -> None:
        """Shows whether the pane follows."""
        self.draw_status()

    def _theme_changed(self, _: Theme) -> None:
        """Draws the curve in its new colours."""
        after_refresh(self, partial(self._main_screen.draw_chart, self.state, again=True))

    def _resumed(self, _: object) -> None:
        """Draws every cell again: the shell has written on the terminal meanwhile."""
        self.paint_all_again()

    def _dress(self) -> None:
        """Takes the theme to start with, and sees to it that no colour means none."""
        for theme in (*OWN_THEMES, *user_themes(self.settings.themes)):
            self.register_theme(theme)
        self.obey_no_color()
        name = self.settings.theme_name(no_color=self.no_color)
        known = name in self.available_themes
        self.theme = name if known else ScreenSettings().theme_name(no_color=self.no_color)


def _rare(state: ViewState) -> tuple[object, ...]:
    """Returns what changes seldom and is shown without waiting for the next tick."""
    return (
        state.training,
        state.stage,
        state.run,
        state.checkpoint,
        state.save_failure,
        state.losses.validation_curve,
        state.crashes,
        state.finished,
    )
