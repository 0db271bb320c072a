"""The one screen of the app that is no dialog: what its keys do to the panes and to the text.

``PaneScreen`` draws, ``FileScreen`` writes files. Here are the other actions that concern the panes
and the text; an action never waits and never fails. Commands and toasts go through the
``SessionHost``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Final, Literal

from textual.binding import Binding, BindingType

from model.commands import (
    ForkWriting,
    ReturnToTrunk,
    SetLaneTemperature,
    StartRace,
    StopRace,
    WatchUnit,
)
from model.events import AuthorsOpened
from tui.config.acting_keys import may_run
from tui.config.screen_settings import ScreenSettings
from tui.hints.hints import Moment
from tui.hints.teacher import Teacher
from tui.sanitise import encodable, one_line
from tui.screens.alternatives import AlternativesScreen, Fork
from tui.screens.entry import FindEntry
from tui.screens.file_screen import FileScreen
from tui.screens.menu import Choice, Menu
from tui.screens.session_host import SessionHost
from tui.screens.text_feed import TextFeed
from tui.terminal.deferred import after_refresh
from tui.view.absent import lacking_words
from tui.view.chart_view import with_next_range
from tui.view.format import grouped
from tui.view.ink import INKS, InkKind
from tui.view.layout import PANES
from tui.widgets.writing_pane import ScrollKey, WritingPane

_INK_WORDS: Final[dict[InkKind, str]] = {
    "off": "Ink off",
    "surprise": "Ink: surprise. Hot, bold, then reversed: the character cost more bits.",
    "novelty": "Ink: novelty. Bold: not a word of the corpus. Underlined: copied.",
    "unit": "Ink: one hidden unit; h takes another.",
    "author": "Ink: author. Underlined: likelier for the first model. Bold: for the second.",
}
_LADDER_WORDS: Final = "n-grams and networks write side by side"
MAX_CLIPBOARD_BYTES: Final = 50_000
"""Terminals refuse a longer OSC 52; of a longer text, the end is copied."""


class MainScreen(FileScreen):
    """The panes and the text, with the actions that concern them."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("super+c", "copy_text", show=False)]
    """Textual's key for a selection; all other keys are bound by the app, from one table."""

    def __init__(self, settings: ScreenSettings, host: SessionHost) -> None:
        super().__init__(settings, host)
        self.feed = TextFeed(
            self.pane, self.race, settings.sampling.temperature, ascii_only=settings.ascii
        )
        self._racing = False
        """Whether a race was asked for."""
        self._holds_for_alternatives = False
        """Whether the text is on hold only until the alternatives are closed."""
        self._teacher = Teacher()
        self.sought = ""
        """The words that were looked for last."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Limits spectators to actions that write no file and command no training."""
        if not may_run("screen", action, read_only=self._settings.read_only):
            return False
        return super().check_action(action, parameters)

    # --- which panes are visible ----------------------------------------------------------------

    def action_toggle_pane(self, name: str) -> None:
        """Shows a pane, or hides it if it is visible."""
        self.panes.toggle(name)
        self._panes_changed()

    def action_reset_panes(self) -> None:
        """Shows the panes of the start."""
        self.panes.reset()
        self._panes_changed()

    def action_maximise_panes(self) -> None:
        """Gives the panes more rows, or takes them back."""
        self.panes.maximise()
        self._panes_changed()

    def action_next_pane(self) -> None:
        """Makes the next visible pane the one that the arrow keys act on."""
        self.panes.choose_next()
        self.arrange_panes()

    def action_show_views(self) -> None:
        """Lists all panes."""

        def answered(name: str | None) -> None:
            if name == "ladder":
                self.action_next_line_up()
            elif name is not None:
                self.action_toggle_pane(name)

        shown = self.shown
        panes = [
            Choice(
                id=pane.id,
                key=pane.digit,
                name=pane.name,
                words=pane.tooltip,
                is_on=pane.id in shown,
            )
            for pane in PANES
        ]
        ladder = self.race.line_up == "ladder" and self._racing
        panes.append(Choice(id="ladder", key="L", name="Ladder", words=_LADDER_WORDS, is_on=ladder))
        self.app.push_screen(Menu("Views", panes, closing_key="v"), answered)

    def _panes_changed(self) -> None:
        """Draws the panes that have appeared; runs the race only while it is visible."""
        self.arrange_panes()
        racing = "race" in self.shown
        if racing and not self._racing:
            self._start_race()
        elif self._racing and not racing:
            self._host.post(StopRace())
        self._racing = racing
        after_refresh(self, self._host.draw_all)

    def action_next_line_up(self) -> None:
        """Lets the other line-up race, and opens the pane if it is not visible."""
        self.race.take_next_line_up()
        if self._racing:
            self._start_race()
        else:
            self.action_toggle_pane("race")

    def _start_race(self) -> None:
        self._host.post(StartRace(lanes=self.race.lanes, epoch=self.growth.chosen_epoch))

    # --- hints ----------------------------------------------------------------------------------

    @property
    def shows_hints(self) -> bool:
        """Whether hints are on, even if there is no room for them."""
        return self.has_class("-hints")

    def action_toggle_hints(self) -> None:
        """Shows the row of hints, or hides it."""
        self.toggle_class("-hints")
        after_refresh(self, self._host.draw_all)

    def draw_hint(self, now: float) -> None:
        """Shows the hint that fits what happens now; does nothing while there is no row for it.

        Args:
            now: seconds of a steady clock.
        """
        if not self.hint_row.display:
            return
        moment = Moment(
            state=self._host.state,
            temperature=self._host.sampling.temperature,
            temperature_at_start=self._settings.sampling.temperature,
            keys={key.id: key.shown for key in self._host.acting_keys},
            new_word=self.pane.ink.newest_word,
            is_racing="race" in self.shown,
            ink_is_off=self.pane.ink.kind == "off",
        )
        words = self._teacher.listen(moment, now)
        self.hint_row.show(words, ascii_only=self._settings.ascii)

    # --- what the panes show --------------------------------------------------------------------

    def action_pane_key(self, direction: int) -> None:
        """Goes to the next curve, lane or epoch of the active pane."""
        if not self.panes.is_active_shown:
            return
        if self.panes.active == "chart":
            self.chart_view = self.chart_view.stepped(direction)
            self.draw_chart(self._host.state)
        elif self.panes.active == "race":
            self.race.choose(direction)
        elif self.panes.active == "growth":
            self.growth.scrub(direction)
            if self._racing and self.race.shows_an_epoch():
                self._start_race()

    def action_change_chart(self, what: Literal["range", "logarithmic", "bits"]) -> None:
        """Switches the range, the axis or the unit of the curve."""
        if what == "range":
            self.chart_view = with_next_range(self._host.state, self.chart_view)
        else:
            changes: dict[str, Any] = {what: not getattr(self.chart_view, what)}
            self.chart_view = replace(self.chart_view, **changes)
        self.draw_chart(self._host.state)

    def _change_pane_temperature(self, direction: int) -> bool:
        """Changes the active pane's own temperature; returns whether it has one."""
        if not self.panes.is_active_shown:
            return False
        if self.panes.active == "growth":
            self.growth.change_temperature(direction)
            return True
        if self.panes.active == "race" and self.race.is_running:
            wished = self.race.next_temperature(direction)
            self._host.post(SetLaneTemperature(lane=self.race.chosen, temperature=wished))
            return True
        return False

    # --- the text -------------------------------------------------------------------------------

    def action_scroll_text(self, how: ScrollKey) -> None:
        """Scrolls the text by a line or a page, or to its start.

        Up and down change the temperature of the active pane if it has its own.
        """
        if how in {"up", "down"} and self._change_pane_temperature(1 if how == "up" else -1):
            return
        self.pane.scroll_by_key(how)

    def action_follow(self) -> None:
        """Goes to the newest text and stays there."""
        self.pane.follow()

    def action_find(self) -> None:
        """Asks for words and goes to their last place in the text."""

        def answered(words: str | None) -> None:
            if words:
                self.sought = words
                self.pane.forget_found()
                self.action_find_next(1)

        self.app.push_screen(FindEntry(self.sought), answered)

    def action_find_next(self, direction: int) -> None:
        """Goes to the next place of the words, upwards; downwards if negative."""
        if not self.sought:
            self.action_find()
        elif not self.pane.find(self.sought, direction):
            words = one_line(self.sought, 40)
            self._host.say(f"“{words}” is not in the text.", severity="warning")

    def action_copy_written_text(self) -> None:
        """Copies the text since the last restart through the terminal."""
        text = encodable(self.pane.transcript.current_text)
        kept = text.encode()[-MAX_CLIPBOARD_BYTES:].decode(errors="ignore")
        if not kept:
            self._host.say("There is no text to copy yet.", severity="warning")
            return
        self.app.copy_to_clipboard(kept)
        cut = "the last " if len(kept) < len(text) else ""
        self._host.say(
            f"Copied {cut}{grouped(len(kept))} characters through the terminal (OSC 52). "
            "If your terminal does not support that, w writes a file."
        )

    # --- forks ----------------------------------------------------------------------------------

    def action_show_alternatives(self) -> None:
        """Holds the text, then shows what else the model could have written.

        The text goes on when the alternatives are closed, unless the user had put it on hold.
        """
        self._holds_for_alternatives = not self._host.held
        if self._host.state.writing.held and self._host.held:
            self._open_alternatives()
        else:
            self._host.awaits_dialog = True
            self._host.hold_writing(True)

    def writing_held(self) -> None:
        """Opens the alternatives if the user waits for them; the text is on hold now."""
        if self._host.awaits_dialog:
            self._host.awaits_dialog = False
            self._open_alternatives()
        else:  # the sampler was too slow, and keys were pressed meanwhile
            self._end_alternatives()

    def _open_alternatives(self) -> None:
        characters = tuple(self.feed.past.characters)
        if not characters:
            self._host.say("There is no text to look back at yet.", severity="warning")
            self._end_alternatives()
            return

        def answered(choice: Fork | None) -> None:
            if choice is not None:
                self._holds_for_alternatives = True
                self._host.post(ForkWriting(back=choice[0], character=choice[1]))
            self._end_alternatives()

        screen = AlternativesScreen(characters, self._look_at, ascii_only=self._settings.ascii)
        self.app.push_screen(screen, answered)

    def _look_at(self, back: int | None) -> int:
        """Marks a character in the text; returns the row of the screen where it stands."""
        return self.pane.region.y + (self.pane.look_at(back) or 0)

    def on_writing_pane_hovered(self, event: WritingPane.Hovered) -> None:
        """Shows what the model gave the character under the mouse, and its rivals."""
        past = self.feed.past.characters
        is_kept = event.back is not None and event.back <= len(past)
        self.hovered = past[-event.back] if event.back is not None and is_kept else None
        self._host.draw_status()

    def _end_alternatives(self) -> None:
        """Lets the text go on if it was on hold for the alternatives."""
        if self._holds_for_alternatives:
            self._holds_for_alternatives = False
            self._host.hold_writing(False)

    def action_return_to_trunk(self) -> None:
        """Undoes the forks."""
        if self.feed.past.forked:
            self._host.post(ReturnToTrunk())
        else:
            self._host.say("The text has no fork to go back from.")

    # --- ink ------------------------------------------------------------------------------------

    def action_next_ink(self) -> None:
        """Colours the text by the next kind of ink, or not at all."""
        ink = self.pane.ink
        inks = INKS if self._host.state.authors is not None else INKS[:-1]
        ink.kind = inks[(inks.index(ink.kind) + 1) % len(inks)]
        self.pane.refresh()
        self._draw_title()
        if ink.kind == "unit" and self.unit is None:
            self.action_next_unit()
        elif ink.kind == "novelty" and ink.text_missing:
            self._say_text_is_missing()
        else:
            self._host.say(_INK_WORDS[ink.kind])

    def authors_opened(self, event: AuthorsOpened) -> None:
        """Says which symbols the two models lack; colours the text by who speaks."""
        for sentence in lacking_words(event):
            self._host.say(sentence)
        # Colours cost bytes; on a slow line the user asks for them.
        if not self._settings.low_bandwidth:
            self.pane.ink.kind = "author"
            self.pane.refresh()
        self._draw_title()

    def action_next_unit(self) -> None:
        """Watches the next hidden unit of those that track something."""
        units = self._host.state.units
        if not units:
            self._host.say("The units are ranked a few seconds after training begins.")
            return
        features = [unit.feature for unit in units]
        known = self.unit is not None and self.unit.feature in features
        here = features.index(self.unit.feature) if self.unit is not None and known else -1
        self.unit = units[(here + 1) % len(units)]
        self._host.post(WatchUnit(layer=self.unit.layer, unit=self.unit.unit))
        self._draw_title()
        feature = one_line(self.unit.feature, 40)
        self._host.say(
            f"Unit {self.unit.unit}, layer {self.unit.layer + 1}: {feature}, "
            f"correlation {self.unit.correlation:.2f}"
        )

    def text_missing(self) -> None:
        """Notes that there is no text to compare with; says so if the ink needs it."""
        self.pane.ink.text_missing = True
        if self.pane.ink.kind == "novelty":
            self._say_text_is_missing()

    def _say_text_is_missing(self) -> None:
        reason = one_line(self._host.state.text_missing or "", 200)
        self._host.say(f"Novelty is not available: {reason}", severity="warning")

    def _draw_title(self) -> None:
        self.draw_title(self._host.state, self._host.sampling.temperature)
