"""What the app does without a key: drains the session's events, keeps the state, draws it.

No worker thread runs code of this module. A timer polls the events since the last frame, the pure
``fold`` computes the new state, and the screen draws what changed. The session starts only after
the first frame is on the terminal, because its trainer imports torch, which would delay the frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from textual.events import Resize
from textual.theme import Theme

from model.commands import Command, ContinueWriting, HoldWriting, SetSampling
from model.config import SamplingConfig
from model.events import (
    AuthorsOpened,
    CheckpointSaved,
    Event,
    Finished,
    MixApplied,
    NoveltyIndexed,
    RateSet,
    RunWatched,
    SamplingApplied,
    SessionRefused,
    TextMissing,
    TrainingStateChanged,
    WarningRaised,
    WorkerCrashed,
    WritingHeld,
    WritingRestarted,
)
from tui.app.file_writer import written_file
from tui.app.process_meter import MachineMeter
from tui.app.toasts import Toasts
from tui.config.acting_keys import keys_of
from tui.config.keys import KeyAction
from tui.config.screen_settings import ScreenSettings
from tui.config.themes import OWN_THEMES, user_themes
from tui.sanitise import one_line
from tui.screens.main_screen import MainScreen
from tui.screens.session_host import Severity
from tui.terminal.deferred import after_refresh
from tui.terminal.terminal_app import TerminalApp
from tui.view.fold import fold
from tui.view.format import grouped
from tui.view.repetition import period_of
from tui.view.state import ViewState
from tui.view.watched import watching_words
from tui.widgets.writing_pane import WritingPane

if TYPE_CHECKING:
    from textual.screen import Screen

    from model.session.protocol import Session


class LiveApp(TerminalApp):
    """Shows one session: folds its events into the state and draws what changed."""

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
        self.set_class(settings.ascii, "-ascii")
        self._meter = meter or MachineMeter()
        self.session = session
        self.settings = settings
        self.state = ViewState()
        self.refusal: Exception | None = None
        """Why the session ended early: a ``UserError``."""
        self.quit_choice: Literal["save", "discard"] = "save"
        """What to do with the training when the app has ended."""
        self.sampling = settings.sampling
        """The settings that the user chose; the sampler follows within a character."""
        self.sampling_posted: SamplingConfig | None = None
        """The settings that the sampler has yet to apply."""
        self.rate, self.constraints = settings.rate, settings.constraints
        self.held = False
        self.pause_wanted = False
        self._clock = clock
        self.checkpoint_wanted = False
        self._toasts = Toasts(self, clock)
        self._redraw_is_due = False
        self.looping = False
        """Whether the text repeats itself."""
        self._main_screen = MainScreen(settings, self)
        self._apply_theme()
        self.set_keymap(dict(settings.keymap))

    @property
    def trains_now(self) -> bool:
        """Whether a training runs that could be lost."""
        crashed = any(crash.worker == "trainer" for crash in self.state.crashes)
        return self.settings.trains and self.state.finished is None and not crashed

    @property
    def acting_keys(self) -> tuple[KeyAction, ...]:
        """The keys that do something for this user now, with the user's own assignments."""
        return keys_of(
            self.settings.keymap,
            read_only=self.settings.read_only,
            trains=self.trains_now,
            without=self.settings.keys_without_use(trains=self.trains_now),
        )

    @property
    def main_screen(self) -> MainScreen:
        """The screen with the panes, even while a dialog covers it."""
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
        self._main_screen.fit_panes(self.size)
        self.draw_all()
        after_refresh(self, self._start_session)

    def _start_session(self) -> None:
        """Starts the session and the timers."""
        self.session.start()
        slow = self.settings.low_bandwidth
        self.set_interval(self.settings.frame_seconds, self._drain_events)
        self.set_interval(2.0 if slow else 1.0, self.draw_figures)
        self.set_interval(2.0, self.draw_status)
        self.set_interval(2.0, self.draw_title)
        self.set_interval(1.0, self._listen_for_loops)
        self.set_interval(self.settings.view_seconds, self.draw_views)
        self.set_interval(self.settings.chart_seconds, self.draw_chart)
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        self.app_resume_signal.subscribe(self, self._resumed)

    # --- events of the session ------------------------------------------------------------------

    def _drain_events(self) -> None:
        """Takes the events since the last frame."""
        events = self.session.poll()
        if events:
            self.take(events)

    def take(self, events: Sequence[Event]) -> None:
        """Folds events into the state and shows what they changed.

        While the app ends, events change the state alone: no dialog may open any more.
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
        """Hands the events that concern the text to the main screen."""
        feed = self._main_screen.feed
        for event in events:
            feed.take(event, self.sampling.temperature)
            if isinstance(event, SamplingApplied) and self.sampling_posted in {
                None,
                event.sampling,
            }:
                self.sampling_posted = None
                self.sampling = event.sampling
                self.draw_title()
        feed.flush()

    def _notice(self, event: Event) -> None:
        """Handles events that need more than the state: toasts, the end, words of keys."""
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
        elif isinstance(event, Finished | WorkerCrashed):
            self.draw_keys()
        elif isinstance(event, AuthorsOpened):
            self._main_screen.authors_opened(event)
        elif isinstance(event, RunWatched):
            self.say(f"You are {watching_words(event)}")
        else:
            self._notice_writing(event)

    def _notice_writing(self, event: Event) -> None:
        """Handles events of the sampler that need more than the state."""
        if isinstance(event, WritingHeld):
            self.held = event.held
            self.draw_keys()
            self.draw_status()
            if event.held:
                self._main_screen.writing_held()
        elif isinstance(event, NoveltyIndexed):
            self.pane.ink.use_index(event.index)
        elif isinstance(event, TextMissing):
            self._main_screen.text_missing()
        elif isinstance(event, MixApplied):
            self.draw_title()
        elif isinstance(event, RateSet):
            self.rate = event.characters_per_second
            self.draw_status()
        elif isinstance(event, WritingRestarted):
            if event.note:
                self.say(one_line(event.note, 300), severity="warning")
            self.draw_title()

    def say(self, words: str, *, severity: Severity = "information") -> None:
        """Shows a toast; the caller has made foreign text printable."""
        self._toasts.say(words, severity)

    def _notice_checkpoint(self, event: CheckpointSaved) -> None:
        """Confirms the checkpoint that the user asked for."""
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

    def hold_writing(self, held: bool) -> None:
        """Holds the text, or continues it."""
        self.held = held
        self.post(HoldWriting() if held else ContinueWriting())
        self.draw_keys()
        self.draw_status()

    def write_file(self, kind: str, words: str, content: Callable[[], bytes]) -> None:
        """Writes a new file in the background and says where it is.

        Args:
            kind: end of the file's name, with its suffix.
            words: what the file holds, for the toast.
            content: makes the bytes; runs in a thread.
        """
        run = self.state.run.run if self.state.run else self.settings.title

        async def write() -> None:
            answer, severity = await written_file(
                self.settings.text_folder, run, kind, words, content
            )
            self.say(answer, severity=severity)

        self.run_worker(write(), group="files")

    # --- drawing --------------------------------------------------------------------------------

    def draw_all(self) -> None:
        """Draws everything but the text."""
        self._redraw_is_due = False
        self.draw_figures()
        self.draw_title()
        self.draw_status()
        self.draw_keys()
        self.draw_chart()
        self.draw_views()

    def draw_figures(self) -> None:
        """Draws the rows of figures, and the hint that fits what happens."""
        now = self._clock()
        self._main_screen.draw_figures(self.state, now, self._meter.read())
        self._main_screen.draw_hint(now)

    def draw_chart(self) -> None:
        """Draws the loss curve."""
        self._main_screen.draw_chart(self.state)

    def draw_views(self) -> None:
        """Draws the panes that follow the writing."""
        self._main_screen.draw_views(self.state, self.sampling)

    def draw_title(self) -> None:
        """Draws the upper edge of the writing pane."""
        self._main_screen.draw_title(self.state, self.sampling.temperature)

    def _listen_for_loops(self) -> None:
        """Warns once when the text begins to repeat itself."""
        past = self._main_screen.feed.past
        period = period_of("".join(event.character for event in list(past.characters)[-900:]))
        if period is not None and not self.looping:
            every = "in every character" if period == 1 else f"every {period} characters"
            self.say(
                f"The text repeats itself {every}: + raises the temperature, r restarts the text.",
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
        self._main_screen.key_bar.show(words, self.acting_keys)

    def on_resize(self, event: Resize) -> None:
        """Shows the panes that fit; they ask to be drawn when they have their new size."""
        self._main_screen.fit_panes(event.size)

    def on_painted_resized(self) -> None:
        """Draws everything once, after all panes have their new width."""
        if not self._redraw_is_due:
            self._redraw_is_due = True
            after_refresh(self, self.draw_all)

    def on_writing_pane_scrolled(self) -> None:
        """Shows whether the pane follows the text."""
        self.draw_status()

    def _theme_changed(self, _: Theme) -> None:
        """Draws the curve in its new colours."""
        after_refresh(self, partial(self._main_screen.draw_chart, self.state, again=True))

    def _resumed(self, _: object) -> None:
        """Draws every cell again, because the shell has written on the terminal."""
        self.paint_all_again()

    def _apply_theme(self) -> None:
        """Applies the theme of the start, and ``NO_COLOR``."""
        for theme in (*OWN_THEMES, *user_themes(self.settings.themes)):
            self.register_theme(theme)
        self.obey_no_color()
        name = self.settings.theme_name(no_color=self.no_color)
        known = name in self.available_themes
        self.theme = name if known else ScreenSettings().theme_name(no_color=self.no_color)


def _rare(state: ViewState) -> tuple[object, ...]:
    """Returns the parts of a state whose change is drawn at once, not at the next tick."""
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
