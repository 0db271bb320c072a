"""The app: what each key does.

``LiveApp`` shows the session; here the keys of ``tui.keys`` become commands to it, questions and
files. An action never waits and never fails: a file system that refuses is a toast.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from textual.app import SystemCommand
from textual.binding import BindingType

from model.commands import (
    ContinueTraining,
    ContinueWriting,
    ForkWriting,
    HoldWriting,
    PauseTraining,
    RestartWriting,
    ReturnToTrunk,
    SaveCheckpoint,
    SetLaneTemperature,
    SetRate,
    SetTemperature,
    StartRace,
    StopRace,
    StopTraining,
    WatchUnit,
)
from model.config import MAXIMUM_TEMPERATURE
from tui.ink import INKS, InkKind
from tui.keys import KEYS, bindings
from tui.live_app import LiveApp
from tui.sanitise import encodable, one_line
from tui.screen_settings import RATES
from tui.screens.alternatives import AlternativesScreen
from tui.screens.entry import FindEntry, PromptEntry, TemperatureEntry
from tui.screens.help_screen import HelpScreen
from tui.screens.question import QuitQuestion
from tui.screens.runs_screen import RunsScreen, Successor
from tui.screens.view_menu import ViewMenu
from tui.text_file import write_text_file
from tui.widgets.figures import grouped

if TYPE_CHECKING:
    from textual.screen import Screen

RACE_TEMPERATURES = (0.2, 0.5, 1.0, 1.2)
"""Those of the classic notebook."""
CUTS: dict[str, tuple[float, ...]] = {
    "top_k": (0, 40, 20, 10, 5, 3, 2),
    "top_p": (1.0, 0.99, 0.95, 0.9, 0.8, 0.6, 0.4),
    "min_p": (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
}
"""What the keys for cuts step through; the first cuts nothing."""
_INK_WORDS: dict[InkKind, str] = {
    "off": "Ink off",
    "surprise": "Ink: surprise. Hot and underlined: the model paid many bits.",
    "novelty": "Ink: novelty. Bold: no word of the corpus. Underlined: copied.",
    "unit": "Ink: one hidden unit; h takes another.",
}
CLIPBOARD_BYTES = 50_000
"""Terminals refuse a longer OSC 52; the end of a longer text is copied."""


class CharlmApp(LiveApp):
    """Shows one session and lets its user steer it."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings())

    successor: Successor | None = None
    """What is to be shown when this session has ended."""
    racing = False
    """Whether a race was asked for."""
    sought = ""
    """What was looked for last."""
    alternatives_wanted = False
    """Whether the alternatives are to open as soon as the text is on hold."""

    @property
    def trains_now(self) -> bool:
        """Whether there is a training that could be lost."""
        crashed = any(crash.worker == "trainer" for crash in self.state.crashes)
        return self.settings.trains and self.state.finished is None and not crashed

    # --- temperature ----------------------------------------------------------------------------

    def action_change_temperature(self, change: float) -> None:
        """Raises or lowers the temperature."""
        self.action_set_temperature(round(self.temperature + change, 2))

    def action_set_temperature(self, temperature: float) -> None:
        """Sets the temperature and says so at once; the sampler follows."""
        self.temperature = min(MAXIMUM_TEMPERATURE, max(0.0, temperature))
        self.temperature_posted = self.temperature
        self.post(SetTemperature(temperature=self.temperature))
        self.draw_title()

    def action_type_temperature(self) -> None:
        """Asks for a temperature."""

        def answered(temperature: float | None) -> None:
            if temperature is not None:
                self.action_set_temperature(temperature)

        self.push_screen(TemperatureEntry(self.temperature), answered)

    # --- writing --------------------------------------------------------------------------------

    def action_toggle_writing(self) -> None:
        """Holds writing, or goes on."""
        self.held = not self.held
        self.post(HoldWriting() if self.held else ContinueWriting())
        self.draw_keys()
        self.draw_status()

    def action_change_rate(self, direction: int) -> None:
        """Goes to the next faster or slower pace."""
        faster = [rate for rate in RATES if rate > self.rate]
        slower = [rate for rate in RATES if rate < self.rate]
        choices = faster[:1] if direction > 0 else slower[-1:]
        if choices:
            self.rate = choices[0]
            self.post(SetRate(characters_per_second=self.rate))
            self.draw_status()

    def action_restart_writing(self) -> None:
        """Begins the text anew."""
        self.post(RestartWriting())

    def action_edit_prompt(self) -> None:
        """Asks for a prompt and begins the text anew from it."""
        prompt = self.state.writing.prompt
        if prompt is None:
            prompt = self.settings.prompt

        def answered(prompt: str | None) -> None:
            if prompt is not None:
                self.post(RestartWriting(prompt=prompt))

        self.push_screen(PromptEntry(prompt), answered)

    def action_change_cut(self, name: Literal["top_k", "top_p", "min_p"], direction: int) -> None:
        """Goes to the next narrower or wider cut."""
        choices = CUTS[name]
        here = min(range(len(choices)), key=lambda i: abs(choices[i] - getattr(self.cuts, name)))
        value = choices[min(len(choices) - 1, max(0, here + direction))]
        changes: dict[str, Any] = {name: value}
        self.cuts = replace(self.cuts, **changes)
        self.post(self.cuts)
        self.draw_views()
        if "sampling" not in self.main_screen.shown:
            words = f"{value:g}" if value != choices[0] else "off"
            self.say(f"{name.replace('_', '-')} {words}")

    # --- views ----------------------------------------------------------------------------------

    def action_toggle_pane(self, name: str) -> None:
        """Switches a pane on or off."""
        self.main_screen.toggle_pane(name)
        self._panes_changed()

    def action_reset_panes(self) -> None:
        """Shows what was shown at the start."""
        self.main_screen.reset_panes()
        self._panes_changed()

    def action_maximise_panes(self) -> None:
        """Gives the panes more rows, or takes them back."""
        self.main_screen.maximise_panes()
        self._panes_changed()

    def action_next_pane(self) -> None:
        """Lets the arrow keys concern another pane."""
        self.main_screen.next_pane()

    def action_show_views(self) -> None:
        """Lists all views."""

        def answered(name: str | None) -> None:
            if name is not None:
                self.action_toggle_pane(name)

        self.push_screen(ViewMenu(self.main_screen.shown), answered)

    def action_pane_key(self, direction: int) -> None:
        """Goes to the next curve, lane or epoch of the chosen pane."""
        screen = self.main_screen
        if screen.active not in screen.shown:
            return
        if screen.active == "chart":
            screen.chart_view = screen.chart_view.stepped(direction)
            self.draw_chart()
        elif screen.active == "race":
            screen.race.choose(direction)
        elif screen.active == "growth":
            screen.growth.scrub(direction)

    def action_change_chart(self, what: str) -> None:
        """Switches the range, the axis or the unit of the curve."""
        view = self.main_screen.chart_view
        changes: dict[str, Any] = {what: not getattr(view, what)}
        self.main_screen.chart_view = replace(view, **changes)
        self.draw_chart()

    def _panes_changed(self) -> None:
        """Draws what has come to the screen; the race runs only while it is seen."""
        racing = "race" in self.main_screen.shown
        if racing and not self.racing:
            lanes = self.main_screen.race.temperatures or RACE_TEMPERATURES
            self.post(StartRace(temperatures=tuple(lanes)))
        elif self.racing and not racing:
            self.post(StopRace())
        self.racing = racing
        self.call_after_refresh(self.draw_all)

    def _change_in_pane(self, direction: int) -> bool:
        """Changes the chosen pane's temperature; tells whether it has one."""
        screen = self.main_screen
        if screen.active not in screen.shown:
            return False
        if screen.active == "growth":
            screen.growth.change_temperature(direction)
            return True
        if screen.active == "race" and screen.race.temperatures:
            lane = screen.race.chosen
            wished = round(screen.race.temperatures[lane] + 0.05 * direction, 2)
            wished = min(MAXIMUM_TEMPERATURE, max(0.0, wished))
            self.post(SetLaneTemperature(lane=lane, temperature=wished))
            return True
        return False

    # --- training -------------------------------------------------------------------------------

    def action_toggle_training(self) -> None:
        """Pauses training, or goes on."""
        if self._has_training("pause"):
            self.pause_wanted = not self.pause_wanted
            self.post(PauseTraining() if self.pause_wanted else ContinueTraining())
            self.draw_keys()

    def action_save_checkpoint(self) -> None:
        """Asks the trainer for a checkpoint."""
        if self._has_training("save"):
            self.checkpoint_wanted = True
            self.post(SaveCheckpoint())

    def action_stop_training(self) -> None:
        """Ends training for good; the app stays open."""
        if self._has_training("end"):
            self.post(StopTraining())
            self.say("Training ends after validating and saving; writing goes on.")

    def _has_training(self, verb: str) -> bool:
        """Tells whether there is a training to act on; says so where there is none."""
        if not self.trains_now:
            self.say(f"There is no training to {verb}.", severity="warning")
        return self.trains_now

    # --- text -----------------------------------------------------------------------------------

    def action_scroll_text(self, how: str) -> None:
        """Moves the view of the text by a line, a page, or to its start.

        Up and down change the temperature of a pane that has one of its own and is chosen.
        """
        if how in {"up", "down"} and self._change_in_pane(1 if how == "up" else -1):
            return
        match how:
            case "up":
                self.pane.scroll_lines(-1)
            case "down":
                self.pane.scroll_lines(1)
            case "pageup":
                self.pane.scroll_pages(-1)
            case "pagedown":
                self.pane.scroll_pages(1)
            case _:
                self.pane.scroll_to_start()

    def action_show_alternatives(self) -> None:
        """Holds the text and looks at what else could have been written."""
        if self.state.writing.held:
            self._open_alternatives()
        else:
            self.alternatives_wanted = True
            self.held = True
            self.post(HoldWriting())

    def writing_stands(self) -> None:
        """Opens the alternatives once the text is on hold, where they were asked for."""
        if self.alternatives_wanted:
            self.alternatives_wanted = False
            self._open_alternatives()

    def _open_alternatives(self) -> None:
        if not self.past.characters:
            self.say("There is no text to look back at yet.", severity="warning")
            return

        def answered(choice: tuple[int, str] | None) -> None:
            if choice is not None:
                self.post(ForkWriting(back=choice[0], character=choice[1]))
                self.held = False
                self.post(ContinueWriting())

        screen = AlternativesScreen(tuple(self.past.characters), ascii_only=self.settings.ascii)
        self.push_screen(screen, answered)

    def action_return_to_trunk(self) -> None:
        """Takes back the forks."""
        if self.past.forked:
            self.post(ReturnToTrunk())
        else:
            self.say("The text has no fork to go back from.")

    def action_next_ink(self) -> None:
        """Colours the text by something else, or not at all."""
        ink = self.pane.ink
        ink.kind = INKS[(INKS.index(ink.kind) + 1) % len(INKS)]
        self.pane.refresh()
        self.draw_title()
        if ink.kind == "unit" and self.unit is None:
            self.action_next_unit()
        else:
            self.say(_INK_WORDS[ink.kind])

    def action_next_unit(self) -> None:
        """Watches the next of the units that track something."""
        units = self.state.units
        if not units:
            self.say("The units are ranked a few seconds after the training began.")
            return
        features = [unit.feature for unit in units]
        known = self.unit is not None and self.unit.feature in features
        here = features.index(self.unit.feature) if self.unit is not None and known else -1
        self.unit = units[(here + 1) % len(units)]
        self.post(WatchUnit(layer=self.unit.layer, unit=self.unit.unit))
        self.draw_title()
        self.say(
            f"Unit {self.unit.unit}, layer {self.unit.layer + 1}: {self.unit.feature}, "
            f"correlation {self.unit.correlation:.2f}"
        )

    def action_follow(self) -> None:
        """Goes to the newest text and stays there."""
        self.pane.follow()

    def action_find(self) -> None:
        """Asks for words and goes to where they stand last."""

        def answered(words: str | None) -> None:
            if words:
                self.sought = words
                self.action_find_next(1)

        self.push_screen(FindEntry(self.sought), answered)

    def action_find_next(self, direction: int) -> None:
        """Goes to the next place of the words, upwards; downwards where negative."""
        if not self.sought:
            self.action_find()
        elif not self.pane.find(self.sought, direction):
            self.say(f"“{one_line(self.sought, 40)}” does not stand there.", severity="warning")

    def action_copy_text(self) -> None:
        """Copies the text since the last restart through the terminal."""
        text = encodable(self.pane.transcript.current_text)
        kept = text.encode()[-CLIPBOARD_BYTES:].decode(errors="ignore")
        if not kept:
            self.say("There is no text to copy yet.", severity="warning")
            return
        self.copy_to_clipboard(kept)
        cut = "the last " if len(kept) < len(text) else ""
        self.say(
            f"Copied {cut}{grouped(len(kept))} characters through the terminal (OSC 52). "
            "If yours does not take them, w writes a file."
        )

    def action_write_text(self) -> None:
        """Writes the text since the last restart to a new file."""
        text = self.pane.transcript.current_text
        if text:
            self.run_worker(self._write_text_file(text), group="text-file")
        else:
            self.say("There is no text to write yet.", severity="warning")

    async def _write_text_file(self, text: str) -> None:
        """Writes a file without stopping the screen, and says where it is."""
        run = self.state.run.run if self.state.run else self.settings.title
        try:
            folder = self.settings.text_folder or Path.cwd()
            path = await asyncio.to_thread(write_text_file, folder, run, text)
        except OSError as error:
            place = one_line(str(error.filename or self.settings.text_folder or "."), 120)
            cause = one_line(error.strerror or str(error), 120)
            self.say(f"{place}: the text was not written: {cause}", severity="error")
        else:
            self.say(f"Wrote {grouped(len(text))} characters to {one_line(str(path), 160)}")

    # --- program --------------------------------------------------------------------------------

    def action_show_runs(self) -> None:
        """Shows the saved runs."""
        root = self.settings.root
        if root is None:
            self.say("There are no runs to show here.", severity="warning")
            return

        def answered(successor: Successor | None) -> None:
            if successor is not None:
                self.successor = successor
                self.exit()

        current = self.state.run.run if self.state.run else None
        self.push_screen(RunsScreen(root, current, ascii_only=self.settings.ascii), answered)

    def action_show_help(self) -> None:
        """Shows every key."""
        self.push_screen(HelpScreen())

    def action_suspend_process(self) -> None:
        """Suspends to the shell; nothing may be drawn meanwhile, or Textual 8.2 would hang."""
        with self.batch_update():
            super().action_suspend_process()

    def action_ask_quit(self) -> None:
        """Asks what is to become of the training, unless there is none to lose."""
        if not self.trains_now:
            self.exit()
        else:
            self.push_screen(QuitQuestion(), self._quit_answered)

    def action_interrupt(self) -> None:
        """Asks as q does; a second time in a row saves and stops."""
        if isinstance(self.screen, QuitQuestion):
            self.screen.dismiss("save")
        else:
            self.action_ask_quit()

    async def action_quit(self) -> None:
        """Asks first: what Textual itself calls for its own ways out."""
        self.action_ask_quit()

    def _quit_answered(self, choice: Literal["save", "discard"] | None) -> None:
        """Ends the app if the user wants to."""
        if choice is not None:
            self.quit_choice = choice
            self.exit()

    def request_exit(self, return_code: int) -> None:
        """Ends the app with a status; for ``call_soon_threadsafe`` of whoever guards signals."""
        self.quit_choice = "save"
        self.exit(return_code=return_code)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offers every key's action in the palette, and themes and screenshots of Textual."""
        for key in KEYS:
            if not key.priority:
                title = f"{key.label} ({key.shown})"
                yield SystemCommand(title, key.tooltip, partial(self.run_action, key.action))
        for command in super().get_system_commands(screen):
            if command.title in {"Theme", "Screenshot"}:
                yield command
